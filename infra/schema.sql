-- The whole schema of the catalog, for reading. Programs apply infra/migrations; a test proves that
-- both give the same. A change goes into a new migration and into this file.

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

-- Versions in every state, what each holds, and what each left out.

CREATE TABLE cas.versions (
    number bigint PRIMARY KEY CHECK (number > 0),
    state text NOT NULL CHECK (state IN ('pending', 'running', 'complete', 'incomplete', 'failed')),
    trigger_type text NOT NULL CHECK (trigger_type IN ('AUTO', 'MANUAL', 'SYSTEM')),
    kind text NOT NULL CHECK (kind IN ('full', 'schema-only', 'data-only', 'selected')),
    reason text NOT NULL DEFAULT '',
    name text NOT NULL DEFAULT '',
    description text NOT NULL DEFAULT '',
    search text NOT NULL,
    tags text[] NOT NULL DEFAULT '{}' CHECK (array_position(tags, NULL) IS NULL),
    metadata jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    created_by text NOT NULL DEFAULT '',
    protected boolean NOT NULL DEFAULT false,
    hold text NOT NULL DEFAULT '',
    source_url text NOT NULL DEFAULT '',
    source_database text NOT NULL DEFAULT '',
    source_server_version text NOT NULL DEFAULT '',
    source_system_identifier text NOT NULL DEFAULT '',
    included text[] NOT NULL DEFAULT '{}',
    excluded text[] NOT NULL DEFAULT '{}',
    included_schemas text[] NOT NULL DEFAULT '{}',
    parent bigint CHECK (parent > 0 AND parent < number),
    created_at timestamptz NOT NULL,
    finished_at timestamptz,
    duration_seconds double precision CHECK (duration_seconds >= 0),
    expires_at timestamptz,
    expiry_rule text NOT NULL DEFAULT '',
    records bigint CHECK (records >= 0),
    original_bytes bigint CHECK (original_bytes >= 0),
    added_bytes bigint CHECK (added_bytes >= 0),
    stored_bytes bigint CHECK (stored_bytes >= 0),
    objects_written bigint CHECK (objects_written >= 0),
    checksum bytea,
    document_hash bytea,
    retries integer NOT NULL DEFAULT 0 CHECK (retries >= 0),
    error_code text NOT NULL DEFAULT '',
    error_text text NOT NULL DEFAULT '',
    CONSTRAINT versions_finished CHECK ((state IN ('pending', 'running')) = (finished_at IS NULL)),
    CONSTRAINT versions_result CHECK (
        CASE WHEN state IN ('complete', 'incomplete')
            THEN num_nonnulls(duration_seconds, records, original_bytes, added_bytes, stored_bytes,
                              objects_written, checksum, document_hash) = 8
            ELSE num_nonnulls(records, original_bytes, added_bytes, stored_bytes,
                              objects_written, checksum, document_hash) = 0
        END),
    CONSTRAINT versions_failed CHECK ((state = 'failed') = (error_code <> ''))
);
COMMENT ON TABLE cas.versions IS 'Every version that was ever begun or adopted, whatever became of it; rows are never deleted';
COMMENT ON COLUMN cas.versions.state IS 'A running version whose session is over or whose lease has lapsed counts as failed';
COMMENT ON COLUMN cas.versions.search IS 'Number, name, reason and description, case-folded by the program: lower() depends on the locale';
COMMENT ON COLUMN cas.versions.original_bytes IS 'Sum of the lengths of all payloads';
COMMENT ON COLUMN cas.versions.added_bytes IS 'Stored bytes of the packs and the document that this version added';
COMMENT ON COLUMN cas.versions.stored_bytes IS 'Stored bytes of everything that this version needs, shared or not';

CREATE INDEX versions_by_time ON cas.versions (created_at);
CREATE INDEX versions_by_state ON cas.versions (state, number);
CREATE INDEX versions_by_trigger ON cas.versions (trigger_type, number);
CREATE INDEX versions_by_kind ON cas.versions (kind, number);
CREATE INDEX versions_by_tag ON cas.versions USING gin (tags);
CREATE INDEX versions_by_source ON cas.versions (source_system_identifier, source_database, number)
    WHERE state = 'complete';

CREATE TABLE cas.version_entities (
    version bigint NOT NULL REFERENCES cas.versions (number),
    ordinal integer NOT NULL CHECK (ordinal > 0),
    label text NOT NULL,
    kind text NOT NULL,
    root bytea NOT NULL CHECK (octet_length(root) = 32),
    records bigint NOT NULL CHECK (records >= 0),
    payload_bytes bigint NOT NULL CHECK (payload_bytes >= 0),
    checksum bytea NOT NULL,
    read_by text NOT NULL,
    read_reason text NOT NULL,
    rows_read bigint NOT NULL CHECK (rows_read >= 0),
    new_chunks bigint NOT NULL CHECK (new_chunks >= 0),
    PRIMARY KEY (version, ordinal)
);
COMMENT ON TABLE cas.version_entities IS 'Per version and entity: root, counts, and how it was read';

CREATE TABLE cas.version_omissions (
    version bigint NOT NULL REFERENCES cas.versions (number),
    ordinal integer NOT NULL CHECK (ordinal > 0),
    name text NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (version, ordinal)
);
COMMENT ON TABLE cas.version_omissions IS 'What a version left out, and why, in words';

-- Who writes, who reads, and which packs there are.

CREATE TABLE cas.sessions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    number bigint NOT NULL UNIQUE REFERENCES cas.versions (number),
    epoch bigint NOT NULL CHECK (epoch >= 0),
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'ended', 'fenced')),
    parent bigint REFERENCES cas.versions (number),
    host text NOT NULL,
    pid integer NOT NULL,
    started_at timestamptz NOT NULL,
    renewed_at timestamptz NOT NULL,
    lease_until timestamptz NOT NULL CHECK (lease_until > renewed_at),
    ended_at timestamptz,
    CONSTRAINT sessions_ended CHECK ((state = 'open') = (ended_at IS NULL))
);
COMMENT ON TABLE cas.sessions IS 'Writers. Open with a lapsed lease: its version counts as failed, its pin still holds, and it may come back until somebody ends it';
COMMENT ON COLUMN cas.sessions.parent IS 'The version that it builds on, pinned while the session is open';
CREATE INDEX sessions_open ON cas.sessions (epoch) WHERE state = 'open';

CREATE TABLE cas.packs (
    name text COLLATE "C" PRIMARY KEY CHECK (name ~ '^[0-9a-f]{64}$'),
    state text NOT NULL CHECK (state IN ('uploading', 'live', 'condemned', 'deleting')),
    condemned_epoch bigint,
    stored_bytes bigint NOT NULL CHECK (stored_bytes > 0),
    chunks integer NOT NULL CHECK (chunks >= 0),
    holds_nodes boolean NOT NULL,
    owner uuid REFERENCES cas.sessions (id),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    checked_at timestamptz,
    check_result text NOT NULL DEFAULT '',
    CONSTRAINT packs_condemned CHECK ((state IN ('condemned', 'deleting')) = (condemned_epoch IS NOT NULL)),
    CONSTRAINT packs_owned CHECK (state <> 'uploading' OR owner IS NOT NULL),
    CONSTRAINT packs_checked CHECK ((checked_at IS NULL) = (check_result = ''))
);
COMMENT ON TABLE cas.packs IS 'Every pack that was ever announced; a name never recurs';
COMMENT ON COLUMN cas.packs.owner IS 'The session that uploaded it; none for an adopted pack';
CREATE INDEX packs_by_owner ON cas.packs (owner);
CREATE INDEX packs_not_live ON cas.packs (state, condemned_epoch) WHERE state <> 'live';

CREATE TABLE cas.pins (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    version bigint NOT NULL REFERENCES cas.versions (number),
    purpose text NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    lease_until timestamptz NOT NULL
);
COMMENT ON TABLE cas.pins IS 'Readers: what they read must stay until they are done or their lease lapsed';
CREATE INDEX pins_by_version ON cas.pins (version);
