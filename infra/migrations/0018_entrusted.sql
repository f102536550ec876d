-- Credentials of stores, sealed: for stores that want other ones than the environment has.

CREATE TABLE cas.entrusted (
    place text PRIMARY KEY,
    sealed bytea NOT NULL CHECK (length(sealed) BETWEEN 1 AND 262144)
);
COMMENT ON TABLE cas.entrusted IS 'Sealed credentials of stores; nothing of them opens without a secret that is not here, nor in the place of another store';
COMMENT ON COLUMN cas.entrusted.place IS 'Empty for the repository itself, else the name of a replica';
