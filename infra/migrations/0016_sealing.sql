-- Keys of sealed stores as they were last seen: a store that comes with older ones, or unsealed, was tampered
-- with, and keys that were lost can be put back.

CREATE TABLE cas.sealing (
    place text PRIMARY KEY,
    number bigint NOT NULL CHECK (number > 0),
    object bytea NOT NULL CHECK (length(object) > 0),
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE cas.sealing IS 'Newest keys of sealed stores; nothing of them opens without a secret that is not here';
COMMENT ON COLUMN cas.sealing.place IS 'Empty for the repository itself, else the name of a replica';
COMMENT ON COLUMN cas.sealing.object IS 'The object keys/<number> as it lies in the store';
