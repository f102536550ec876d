-- What the catalog is attached to, the collector's epoch, and the ledger of these files.
-- Needs PostgreSQL 14 or newer, a database in UTF8, and no extension.

CREATE SCHEMA cas;
COMMENT ON SCHEMA cas IS 'Catalog of a content-addressed repository of versions';

CREATE TABLE cas.migrations (
    number integer PRIMARY KEY CHECK (number > 0),
    name text NOT NULL,
    checksum text NOT NULL CHECK (checksum ~ '^[0-9a-f]{64}$'),
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE cas.migrations IS 'Applied migrations; checksum is the SHA-256 of the file';

CREATE TABLE cas.repository (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    id text NOT NULL CHECK (id <> ''),
    store_url text NOT NULL,
    format integer NOT NULL CHECK (format > 0),
    attached_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE cas.repository IS 'The one repository that this catalog belongs to; empty until it is claimed';
COMMENT ON COLUMN cas.repository.store_url IS 'Without credentials; where the repository was last found';

CREATE TABLE cas.epoch (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    number bigint NOT NULL DEFAULT 0 CHECK (number >= 0),
    journal bigint NOT NULL DEFAULT 0 CHECK (journal >= 0)
);
COMMENT ON TABLE cas.epoch IS 'Locked FOR SHARE by begin, prepare and commit, FOR UPDATE by the collector and by adoption';
COMMENT ON COLUMN cas.epoch.journal IS 'Highest number among the journals of the bucket that this catalog knows';
INSERT INTO cas.epoch DEFAULT VALUES;

CREATE TABLE cas.next_version (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    number bigint NOT NULL DEFAULT 1 CHECK (number > 0)
);
COMMENT ON TABLE cas.next_version IS 'The number of the next version; a row and no sequence, so that it rolls back with its transaction';
INSERT INTO cas.next_version DEFAULT VALUES;
