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
