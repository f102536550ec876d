-- Restores into the running platform: what was asked, planned and done, and by whom.

CREATE TABLE cas.restores (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN (
        'pending', 'planned', 'safety', 'restoring', 'verifying', 'completed', 'failed', 'cancelled', 'undone')),
    kind text NOT NULL CHECK (kind IN ('full', 'data-only', 'selected')),
    mode text NOT NULL CHECK (mode IN ('exact', 'missing', 'changed', 'merge')),
    version bigint NOT NULL REFERENCES cas.versions (number),
    safety_version bigint REFERENCES cas.versions (number),
    undoes bigint REFERENCES cas.restores (number) CHECK (undoes < number),
    undone_by bigint REFERENCES cas.restores (number) CHECK (undone_by > number),
    name text NOT NULL DEFAULT '',
    description text NOT NULL DEFAULT '',
    search text NOT NULL,
    created_by text NOT NULL DEFAULT '',
    approved_by text NOT NULL DEFAULT '',
    target_url text NOT NULL DEFAULT '',
    target_database text NOT NULL DEFAULT '',
    target_system_identifier text NOT NULL DEFAULT '',
    request jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(request) = 'object'),
    plan jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(plan) = 'object'),
    plan_hash text NOT NULL DEFAULT '',
    warnings text[] NOT NULL DEFAULT '{}' CHECK (array_position(warnings, NULL) IS NULL),
    metadata jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    host text NOT NULL,
    pid integer NOT NULL,
    renewed_at timestamptz,
    lease_until timestamptz CHECK (lease_until > renewed_at),
    cancel_requested boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    planned_at timestamptz,
    started_at timestamptz,
    safety_at timestamptz,
    restoring_at timestamptz,
    verifying_at timestamptz,
    finished_at timestamptz,
    duration_seconds double precision CHECK (duration_seconds >= 0),
    lock_seconds double precision CHECK (lock_seconds >= 0),
    wal_bytes bigint CHECK (wal_bytes >= 0),
    records_inserted bigint CHECK (records_inserted >= 0),
    records_updated bigint CHECK (records_updated >= 0),
    records_deleted bigint CHECK (records_deleted >= 0),
    data_bytes bigint CHECK (data_bytes >= 0),
    transaction_id numeric(20) CHECK (transaction_id > 0),
    error_code text NOT NULL DEFAULT '',
    error_step text NOT NULL DEFAULT '',
    error_text text NOT NULL DEFAULT '',
    resolution text NOT NULL DEFAULT '',
    undo_until timestamptz,
    undo_note text NOT NULL DEFAULT '',
    CONSTRAINT restores_leased CHECK (
        num_nonnulls(renewed_at, lease_until) =
        CASE WHEN state IN ('pending', 'safety', 'restoring', 'verifying') THEN 2 ELSE 0 END),
    CONSTRAINT restores_planned CHECK (
        CASE WHEN planned_at IS NULL THEN plan_hash = '' AND state IN ('pending', 'failed', 'cancelled')
            ELSE plan_hash <> '' AND state <> 'pending'
        END),
    CONSTRAINT restores_started CHECK (
        CASE WHEN started_at IS NULL THEN state IN ('pending', 'planned', 'failed', 'cancelled')
            ELSE state NOT IN ('pending', 'planned') AND planned_at IS NOT NULL
        END),
    CONSTRAINT restores_saved CHECK ((safety_at IS NULL) = (safety_version IS NULL)),
    CONSTRAINT restores_finished CHECK (
        (state IN ('completed', 'failed', 'cancelled', 'undone')) = (finished_at IS NOT NULL)),
    CONSTRAINT restores_lasted CHECK (
        (duration_seconds IS NULL) = (started_at IS NULL OR finished_at IS NULL)),
    CONSTRAINT restores_committing CHECK (
        CASE WHEN state IN ('completed', 'undone') THEN transaction_id IS NOT NULL
            ELSE transaction_id IS NULL OR state IN ('verifying', 'failed')
        END),
    CONSTRAINT restores_result CHECK (
        num_nonnulls(records_inserted, records_updated, records_deleted, data_bytes) =
        CASE WHEN state <> 'failed' AND transaction_id IS NOT NULL THEN 4 ELSE 0 END),
    CONSTRAINT restores_failed CHECK ((state = 'failed') = (error_code <> '')),
    CONSTRAINT restores_undone CHECK ((state = 'undone') = (undone_by IS NOT NULL))
);
COMMENT ON TABLE cas.restores IS 'Every restore that was ever planned, whatever became of it; rows are never deleted';
COMMENT ON COLUMN cas.restores.number IS 'An identity: a number that a failed insert skips harms nobody, and nobody waits for another one';
COMMENT ON COLUMN cas.restores.state IS 'With a lapsed lease and no transaction_id it counts as failed: nothing was committed, and nothing will be';
COMMENT ON COLUMN cas.restores.search IS 'Name, description and creator, case-folded by the program: lower() depends on the locale';
COMMENT ON COLUMN cas.restores.request IS 'Scope and options as they were asked';
COMMENT ON COLUMN cas.restores.warnings IS 'What the validation found, in words';
COMMENT ON COLUMN cas.restores.host IS 'With pid: who planned it, then who executed it';
COMMENT ON COLUMN cas.restores.lease_until IS 'Set while somebody plans or executes it';
COMMENT ON COLUMN cas.restores.lock_seconds IS 'How long writers of the platform were kept out';
COMMENT ON COLUMN cas.restores.wal_bytes IS 'What the platform wrote to its log meanwhile';
COMMENT ON COLUMN cas.restores.transaction_id IS 'The platform''s xid8, recorded before its COMMIT: pg_xact_status tells what became of it';
COMMENT ON COLUMN cas.restores.resolution IS 'How its outcome was learnt where its executor could not tell it';
COMMENT ON COLUMN cas.restores.undo_until IS 'Until when an undo is possible; no limit is known where it is null';

CREATE INDEX restores_by_time ON cas.restores (created_at);
CREATE INDEX restores_by_state ON cas.restores (state, number);
CREATE INDEX restores_by_version ON cas.restores (version, number);
CREATE INDEX restores_by_safety_version ON cas.restores (safety_version);
CREATE INDEX restores_by_undoes ON cas.restores (undoes) WHERE undoes IS NOT NULL;
CREATE INDEX restores_held ON cas.restores (lease_until) WHERE lease_until IS NOT NULL;

CREATE TABLE cas.restore_steps (
    restore bigint NOT NULL REFERENCES cas.restores (number),
    ordinal integer NOT NULL CHECK (ordinal > 0),
    name text NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    text text NOT NULL DEFAULT '',
    PRIMARY KEY (restore, ordinal)
);
COMMENT ON TABLE cas.restore_steps IS 'What a restore did when, planning included; at most one step runs';
CREATE UNIQUE INDEX restore_steps_running ON cas.restore_steps (restore) WHERE finished_at IS NULL;

CREATE TABLE cas.restore_entities (
    restore bigint NOT NULL REFERENCES cas.restores (number),
    ordinal integer NOT NULL CHECK (ordinal > 0),
    label text NOT NULL,
    inserted bigint NOT NULL CHECK (inserted >= 0),
    updated bigint NOT NULL CHECK (updated >= 0),
    deleted bigint NOT NULL CHECK (deleted >= 0),
    conflicts bigint NOT NULL CHECK (conflicts >= 0),
    version_records bigint NOT NULL CHECK (version_records >= 0),
    live_records bigint NOT NULL CHECK (live_records >= 0),
    after_records bigint NOT NULL CHECK (after_records >= 0),
    done bigint NOT NULL DEFAULT 0 CHECK (done >= 0),
    PRIMARY KEY (restore, ordinal),
    UNIQUE (restore, label)
);
COMMENT ON TABLE cas.restore_entities IS 'Per restore and entity: what is planned';
COMMENT ON COLUMN cas.restore_entities.done IS 'Rows applied so far';

CREATE TABLE cas.restore_keys (
    restore bigint NOT NULL REFERENCES cas.restores (number),
    ordinal integer NOT NULL CHECK (ordinal > 0),
    label text NOT NULL,
    keys bytea NOT NULL,
    PRIMARY KEY (restore, ordinal)
);
COMMENT ON TABLE cas.restore_keys IS 'Which records a restore wrote, for its undo: parts of the program''s own form, compressed';
ALTER TABLE cas.restore_keys ALTER COLUMN keys SET STORAGE EXTERNAL;
