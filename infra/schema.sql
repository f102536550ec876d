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
    attached_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    rebuilt_at timestamptz
);
COMMENT ON TABLE cas.repository IS 'The one repository that this catalog belongs to; empty until it is claimed';
COMMENT ON COLUMN cas.repository.store_url IS 'Without credentials; where the repository was last found';
COMMENT ON COLUMN cas.repository.rebuilt_at IS 'When a rebuild took in what this catalog had never known; null once a person has confirmed that versions and packs may go again';

CREATE TABLE cas.epoch (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    number bigint NOT NULL DEFAULT 0 CHECK (number >= 0),
    journal bigint NOT NULL DEFAULT 0 CHECK (journal >= 0),
    announced bigint,
    token text NOT NULL DEFAULT '',
    CONSTRAINT epoch_announced CHECK (announced = journal + 1),
    CONSTRAINT epoch_token CHECK ((announced IS NULL) = (token = ''))
);
COMMENT ON TABLE cas.epoch IS 'Locked FOR SHARE by begin, prepare and commit, FOR UPDATE by the collector and by adoption';
COMMENT ON COLUMN cas.epoch.journal IS 'Highest number among the journals of the bucket that this catalog knows';
COMMENT ON COLUMN cas.epoch.token IS 'Tells the announced journal from one that another catalog has put';
COMMENT ON COLUMN cas.epoch.announced IS 'Number of the journal that a collector is about to put, or has put; null once its packs are being deleted';
INSERT INTO cas.epoch DEFAULT VALUES;

CREATE TABLE cas.collector (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    id uuid,
    host text NOT NULL DEFAULT '',
    pid integer NOT NULL DEFAULT 0,
    lease_until timestamptz,
    CONSTRAINT collector_leased CHECK ((id IS NULL) = (lease_until IS NULL))
);
COMMENT ON TABLE cas.collector IS 'The one that collects now; no id where nobody does';
INSERT INTO cas.collector DEFAULT VALUES;

CREATE TABLE cas.next_version (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    number bigint NOT NULL DEFAULT 1 CHECK (number > 0)
);
COMMENT ON TABLE cas.next_version IS 'The number of the next version; a row and no sequence, so that it rolls back with its transaction';
INSERT INTO cas.next_version DEFAULT VALUES;

-- What people say of versions later, and what they set.

CREATE TABLE cas.noted (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    number bigint NOT NULL DEFAULT 0 CHECK (number >= 0),
    generation bigint NOT NULL DEFAULT 0 CHECK (generation >= 0)
);
COMMENT ON COLUMN cas.noted.generation IS 'How often all notes had to be heard again, from the first one on';
COMMENT ON TABLE cas.noted IS 'Number of the last notes of the bucket that were taken in; locked by who says something and by who forgets a version, so that neither misses the other';
INSERT INTO cas.noted DEFAULT VALUES;

CREATE TABLE cas.settings (
    name text PRIMARY KEY CHECK (name <> ''),
    given text[] NOT NULL CHECK (array_position(given, NULL) IS NULL)
);
COMMENT ON TABLE cas.settings IS 'What was set for the repository, as the notes say; a default has no row';

-- Versions in every state, what each holds, and what each left out.

CREATE TABLE cas.versions (
    number bigint PRIMARY KEY CHECK (number > 0),
    state text NOT NULL CONSTRAINT versions_state CHECK (state IN
        ('pending', 'running', 'complete', 'incomplete', 'failed', 'forgotten', 'gone')),
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
    forgotten_at timestamptz,
    forgotten_why text NOT NULL DEFAULT '',
    forgotten_from text,
    CONSTRAINT versions_finished CHECK ((state IN ('pending', 'running')) = (finished_at IS NULL)),
    CONSTRAINT versions_result CHECK (
        CASE WHEN state IN ('complete', 'incomplete', 'forgotten', 'gone')
            THEN num_nonnulls(duration_seconds, records, original_bytes, added_bytes, stored_bytes,
                              objects_written, checksum, document_hash) = 8
            ELSE num_nonnulls(records, original_bytes, added_bytes, stored_bytes,
                              objects_written, checksum, document_hash) = 0
        END),
    CONSTRAINT versions_failed CHECK ((state = 'failed') = (error_code <> '')),
    CONSTRAINT versions_forgotten CHECK (
        (state IN ('forgotten', 'gone')) = (forgotten_at IS NOT NULL)
        AND (forgotten_at IS NULL) = (forgotten_why = '')),
    CONSTRAINT versions_kept CHECK (forgotten_at IS NULL OR (hold = '' AND NOT protected)),
    CONSTRAINT versions_forgotten_from CHECK (
        forgotten_from IS NULL OR (state = 'forgotten' AND forgotten_from IN ('complete', 'incomplete')))
);
COMMENT ON TABLE cas.versions IS 'Every version that was ever begun or adopted, whatever became of it; rows are never deleted';
COMMENT ON COLUMN cas.versions.state IS 'A running version whose session is over or whose lease has lapsed counts as failed; a forgotten one may still be read by who has pinned it, one that is gone has no document any more, or soon has none';
COMMENT ON COLUMN cas.versions.expires_at IS 'Set by hand: until then it stays, and no longer';
COMMENT ON COLUMN cas.versions.forgotten_why IS 'In words: a rule, or a person';
COMMENT ON COLUMN cas.versions.forgotten_from IS 'What a forgotten version was, and is again where notes from before say that it stays';
COMMENT ON COLUMN cas.versions.search IS 'Number, name, reason and description, case-folded by the program: lower() depends on the locale';
COMMENT ON COLUMN cas.versions.original_bytes IS 'Sum of the lengths of all payloads';
COMMENT ON COLUMN cas.versions.added_bytes IS 'Stored bytes of the packs and the document that this version added';
COMMENT ON COLUMN cas.versions.stored_bytes IS 'Stored bytes of everything that this version needs, shared or not';

CREATE INDEX versions_by_time ON cas.versions (created_at);
CREATE INDEX versions_by_state ON cas.versions (state, number);
CREATE INDEX versions_by_trigger ON cas.versions (trigger_type, number);
CREATE INDEX versions_by_kind ON cas.versions (kind, number);
CREATE INDEX versions_by_tag ON cas.versions USING gin (tags);
CREATE INDEX versions_forgotten_first ON cas.versions (number) WHERE state = 'forgotten';
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
    inserted bigint CHECK (inserted >= 0),
    updated bigint CHECK (updated >= 0),
    deleted bigint CHECK (deleted >= 0),
    compared_with bigint CHECK (compared_with > 0 AND compared_with < version),
    CONSTRAINT version_entities_changes CHECK (num_nonnulls(inserted, updated, deleted) IN (0, 3)),
    CONSTRAINT version_entities_compared CHECK (compared_with IS NULL OR inserted IS NOT NULL),
    PRIMARY KEY (version, ordinal)
);
COMMENT ON TABLE cas.version_entities IS 'Per version and entity: root, counts, and how it was read';
COMMENT ON COLUMN cas.version_entities.inserted IS 'Null where it is not known, as in versions that were adopted';
COMMENT ON COLUMN cas.version_entities.compared_with IS 'The version against which changes are counted; null where nothing earlier is known: then all records are inserted';
CREATE INDEX version_entities_by_label ON cas.version_entities (left(label, 400), version);
COMMENT ON INDEX cas.version_entities_by_label IS 'Of the beginning only: a label in a document of the bucket may be longer than an index can hold';

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
    announced boolean NOT NULL DEFAULT false,
    collector uuid,
    number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    CONSTRAINT packs_announced CHECK (NOT announced OR state = 'condemned'),
    CONSTRAINT packs_condemned CHECK ((state IN ('condemned', 'deleting')) = (condemned_epoch IS NOT NULL)),
    CONSTRAINT packs_owned CHECK (state <> 'uploading' OR num_nonnulls(owner, collector) = 1)
);
COMMENT ON TABLE cas.packs IS 'Every pack that was ever announced; a name never recurs';
COMMENT ON COLUMN cas.packs.announced IS 'Named in the journal that is announced';
COMMENT ON COLUMN cas.packs.number IS 'What version_checks calls it: a version may need thousands of packs';
COMMENT ON COLUMN cas.packs.owner IS 'The session that uploaded it; none for an adopted pack, and for one that a collection wrote';
COMMENT ON COLUMN cas.packs.collector IS 'The collection that uploaded it, in place of others';
CREATE INDEX packs_by_owner ON cas.packs (owner);
CREATE INDEX packs_not_live ON cas.packs (state, condemned_epoch) WHERE state <> 'live';

CREATE TABLE cas.pins (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    version bigint NOT NULL REFERENCES cas.versions (number),
    purpose text NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    lease_until timestamptz NOT NULL,
    epoch bigint NOT NULL
);
COMMENT ON COLUMN cas.pins.epoch IS 'What was condemned later is not deleted before the reader is done';
COMMENT ON TABLE cas.pins IS 'Readers: what they read must stay until they are done or their lease lapsed';
CREATE INDEX pins_by_version ON cas.pins (version);

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

-- From which moment of the platform a version is, and what should never have happened.

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

CREATE TABLE cas.incidents (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version bigint NOT NULL REFERENCES cas.versions (number),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    label text NOT NULL,
    what text NOT NULL,
    examples text[] NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE cas.incidents IS 'A reading of changes that a reading of every row has found wrong; rows are never deleted';

-- When versions are taken without being asked for, and up to where a platform was watched.

CREATE TABLE cas.policies (
    kind text PRIMARY KEY,
    rows bigint CHECK (rows > 0),
    percent double precision CHECK (percent > 0 AND percent <= 100),
    seconds double precision CHECK (seconds > 0),
    entities text[] NOT NULL DEFAULT '{}',
    set_by text NOT NULL,
    set_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT policies_rows CHECK ((kind IN ('bulk-import', 'mass-change')) = (rows IS NOT NULL)),
    CONSTRAINT policies_percent CHECK ((kind = 'mass-change') = (percent IS NOT NULL)),
    CONSTRAINT policies_seconds CHECK ((kind IN ('every', 'follow')) = (seconds IS NOT NULL)),
    CONSTRAINT policies_kind CHECK (kind IN
        ('bulk-import', 'mass-change', 'structure', 'schema', 'every', 'follow', 'leave-out')),
    CONSTRAINT policies_entities CHECK ((kind IN ('structure', 'leave-out')) = (entities <> '{}'))
);
COMMENT ON TABLE cas.policies IS 'Reasons to take a version, and what is none; auto-save is off where there is no reason';

CREATE TABLE cas.watches (
    system_identifier text NOT NULL,
    database text NOT NULL,
    holder text NOT NULL,
    held_until timestamptz NOT NULL,
    position text,
    schema_state text,
    kept_at timestamptz,
    PRIMARY KEY (system_identifier, database),
    CONSTRAINT watches_kept CHECK (num_nonnulls(position, schema_state, kept_at) IN (0, 3))
);
COMMENT ON TABLE cas.watches IS 'Who watches a platform, and up to where everything is in a version or no reason for one';

-- Which counts of changes were unusual.

CREATE TABLE cas.anomalies (
    version bigint NOT NULL REFERENCES cas.versions (number),
    ordinal integer NOT NULL CHECK (ordinal > 0),
    label text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('inserted', 'updated', 'deleted')),
    count bigint NOT NULL CHECK (count > 0),
    of bigint NOT NULL CHECK (of >= 0),
    usual bigint CHECK (usual >= 0),
    why text NOT NULL CHECK (why <> ''),
    PRIMARY KEY (version, ordinal),
    CONSTRAINT anomalies_counted CHECK (kind = 'inserted' OR count <= of)
);
COMMENT ON TABLE cas.anomalies IS 'Counts of changes that were unusual when the version was committed; also of entities that it no longer holds';
COMMENT ON COLUMN cas.anomalies.of IS 'Records that were there before';
COMMENT ON COLUMN cas.anomalies.usual IS 'What nearly all earlier versions stayed within; null where there were too few to tell';

-- When packs and versions were last checked, and what was found.

CREATE TABLE cas.pack_checks (
    pack bigint PRIMARY KEY REFERENCES cas.packs (number) ON DELETE CASCADE,
    trailer_at timestamptz,
    bytes_at timestamptz CHECK (bytes_at <= trailer_at),
    damage text NOT NULL DEFAULT '',
    damage_at timestamptz,
    CONSTRAINT pack_checks_damage CHECK ((damage = '') = (damage_at IS NULL)),
    CONSTRAINT pack_checks_read CHECK (bytes_at IS NULL OR trailer_at IS NOT NULL)
);
COMMENT ON TABLE cas.pack_checks IS 'Times are those at which a look began; a pack that is deleted takes its row with it';
COMMENT ON COLUMN cas.pack_checks.bytes_at IS 'When it was last read whole, whatever was found';
COMMENT ON COLUMN cas.pack_checks.damage IS 'What is wrong with it, until it was read whole again and found good';

CREATE TABLE cas.version_checks (
    version bigint PRIMARY KEY REFERENCES cas.versions (number),
    structure_at timestamptz,
    read_back_at timestamptz,
    cleared_at timestamptz,
    damage text NOT NULL DEFAULT '',
    damage_at timestamptz,
    damage_level text NOT NULL DEFAULT '' CHECK (damage_level IN ('', 'structure', 'packs', 'bytes')),
    needs bigint[],
    stands bigint[] NOT NULL DEFAULT '{}',
    CONSTRAINT version_checks_damage CHECK (
        (damage = '') = (damage_at IS NULL) AND (damage = '') = (damage_level = ''))
);
COMMENT ON TABLE cas.version_checks IS 'Times are those at which a look began; a version that is gone has no row';
COMMENT ON COLUMN cas.version_checks.structure_at IS 'When all its trees were last walked, whatever was found';
COMMENT ON COLUMN cas.version_checks.read_back_at IS 'When all that it added was read again after its commit, and was good';
COMMENT ON COLUMN cas.version_checks.cleared_at IS 'When it was last found whole by a look that knew what is damaged in packs';
COMMENT ON COLUMN cas.version_checks.stands IS 'Numbers of the damaged packs with which it was found whole then';
COMMENT ON COLUMN cas.version_checks.needs IS 'Numbers of the packs that it needs; null where that is not known';

-- Other stores that hold the versions, too, and which of them they hold.

CREATE TABLE cas.replicas (
    name text PRIMARY KEY CHECK (name <> ''),
    url text NOT NULL UNIQUE,
    rules text[] CHECK (rules <> '{}' AND array_position(rules, NULL) IS NULL),
    lock_days integer NOT NULL DEFAULT 0 CHECK (lock_days >= 0),
    added_by text NOT NULL DEFAULT '',
    added_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    run uuid UNIQUE,
    host text NOT NULL DEFAULT '',
    pid integer NOT NULL DEFAULT 0,
    lease_until timestamptz,
    started_at timestamptz,
    ended_at timestamptz,
    succeeded_at timestamptz,
    locked_at timestamptz,
    outcome text CHECK (outcome IN ('complete', 'partial', 'failed')),
    outcome_text text NOT NULL DEFAULT '',
    copied_versions bigint NOT NULL DEFAULT 0 CHECK (copied_versions >= 0),
    copied_bytes bigint NOT NULL DEFAULT 0 CHECK (copied_bytes >= 0),
    objects bigint NOT NULL DEFAULT 0 CHECK (objects >= 0),
    stored_bytes bigint NOT NULL DEFAULT 0 CHECK (stored_bytes >= 0),
    settled bytea NOT NULL DEFAULT '',
    verified_at timestamptz,
    verified_level text,
    verified_clean boolean,
    enabled boolean NOT NULL DEFAULT true,
    mirror boolean NOT NULL DEFAULT false,
    CONSTRAINT replicas_leased CHECK ((run IS NULL) = (lease_until IS NULL)),
    CONSTRAINT replicas_verified CHECK (num_nonnulls(verified_at, verified_level, verified_clean) IN (0, 3))
);
COMMENT ON TABLE cas.replicas IS 'Where copies go; one run at a time works on each';
COMMENT ON COLUMN cas.replicas.rules IS 'Of retention; null: what the primary keeps';
COMMENT ON COLUMN cas.replicas.started_at IS 'Of the last run; it has not ended where ended_at is null';
COMMENT ON COLUMN cas.replicas.succeeded_at IS 'When the last complete run began';
COMMENT ON COLUMN cas.replicas.locked_at IS 'All that lives there is locked for twice lock_days from then on, at least';
COMMENT ON COLUMN cas.replicas.settled IS 'What was looked at when nothing was left to be deleted';
COMMENT ON COLUMN cas.replicas.enabled IS 'One that is not is left alone by all who do not name it';
COMMENT ON COLUMN cas.replicas.mirror IS 'New versions are copied there in the run that takes them';

CREATE TABLE cas.replica_versions (
    replica text NOT NULL REFERENCES cas.replicas (name) ON DELETE CASCADE,
    version bigint NOT NULL REFERENCES cas.versions (number),
    copied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    forgotten_at timestamptz,
    PRIMARY KEY (replica, version)
);
CREATE INDEX replica_versions_by_version ON cas.replica_versions (version);
COMMENT ON TABLE cas.replica_versions IS 'Versions that were copied; what is forgotten on a replica is never copied there again';

CREATE TABLE cas.destinations (
    version bigint NOT NULL REFERENCES cas.versions (number),
    replica text NOT NULL REFERENCES cas.replicas (name) ON DELETE CASCADE,
    PRIMARY KEY (replica, version)
);
CREATE INDEX destinations_by_version ON cas.destinations (version);
COMMENT ON TABLE cas.destinations IS 'Where a version is meant to be beside the primary, known before it is there: one that is not there is partial';

CREATE TABLE cas.cleanups (
    kind text PRIMARY KEY CHECK (kind IN ('forget', 'gc')),
    run uuid NOT NULL UNIQUE,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz,
    succeeded_at timestamptz,
    outcome text CHECK (outcome IN ('complete', 'failed')),
    outcome_text text NOT NULL DEFAULT '',
    removed bigint NOT NULL DEFAULT 0 CHECK (removed >= 0),
    waiting bigint NOT NULL DEFAULT 0 CHECK (waiting >= 0),
    freed_bytes bigint NOT NULL DEFAULT 0,
    CONSTRAINT cleanups_ended CHECK (ended_at IS NULL OR outcome IS NOT NULL)
);
COMMENT ON TABLE cas.cleanups IS 'The last run of each kind; what it found counts until the next one ends';
COMMENT ON COLUMN cas.cleanups.started_at IS 'Of the last run; it has not ended where ended_at is null';
COMMENT ON COLUMN cas.cleanups.succeeded_at IS 'When the last complete run ended';
COMMENT ON COLUMN cas.cleanups.freed_bytes IS 'Deleted, less what was written again: negative where the old goes later';

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

-- Credentials of stores, sealed: for stores that want other ones than the environment has.

CREATE TABLE cas.entrusted (
    place text PRIMARY KEY,
    sealed bytea NOT NULL CHECK (length(sealed) BETWEEN 1 AND 262144)
);
COMMENT ON TABLE cas.entrusted IS 'Sealed credentials of stores; nothing of them opens without a secret that is not here, nor in the place of another store';
COMMENT ON COLUMN cas.entrusted.place IS 'Empty for the repository itself, else the name of a replica';
