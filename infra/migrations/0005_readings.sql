-- From which moment of the platform a version is, so that the next one can read what changed since; what
-- changed; and what should never have happened.

CREATE TABLE cas.version_marks (
    version bigint PRIMARY KEY REFERENCES cas.versions (number),
    oldest bigint NOT NULL CHECK (oldest >= 0),
    snapshot text NOT NULL,
    system_identifier text NOT NULL,
    database_oid bigint NOT NULL,
    timeline bigint NOT NULL,
    in_recovery boolean NOT NULL,
    started text NOT NULL,
    since_scan integer NOT NULL CHECK (since_scan >= 0)
);
COMMENT ON TABLE cas.version_marks IS 'The snapshot that a version was read in; none for versions that were adopted or that are safety versions';
COMMENT ON COLUMN cas.version_marks.oldest IS 'The oldest transaction that was running then, 64 bits wide';
COMMENT ON COLUMN cas.version_marks.started IS 'When the server was started: its transaction numbers mean the same only until it is started again';
COMMENT ON COLUMN cas.version_marks.since_scan IS 'Versions since the last one that read every row of everything; 0 for such a one';

ALTER TABLE cas.version_entities
    ADD COLUMN inserted bigint CHECK (inserted >= 0),
    ADD COLUMN updated bigint CHECK (updated >= 0),
    ADD COLUMN deleted bigint CHECK (deleted >= 0),
    ADD CONSTRAINT version_entities_changes CHECK (num_nonnulls(inserted, updated, deleted) IN (0, 3));
COMMENT ON COLUMN cas.version_entities.inserted IS 'Against the version that this one was built upon; null where there is none to compare with';

CREATE TABLE cas.incidents (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version bigint NOT NULL REFERENCES cas.versions (number),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    label text NOT NULL,
    what text NOT NULL,
    examples text[] NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE cas.incidents IS 'A reading of changes that a reading of every row has found wrong; rows are never deleted';
