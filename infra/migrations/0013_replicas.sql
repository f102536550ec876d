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
    CONSTRAINT replicas_leased CHECK ((run IS NULL) = (lease_until IS NULL)),
    CONSTRAINT replicas_verified CHECK (num_nonnulls(verified_at, verified_level, verified_clean) IN (0, 3))
);
COMMENT ON TABLE cas.replicas IS 'Where copies go; one run at a time works on each';
COMMENT ON COLUMN cas.replicas.rules IS 'Of retention; null: what the primary keeps';
COMMENT ON COLUMN cas.replicas.started_at IS 'Of the last run; it has not ended where ended_at is null';
COMMENT ON COLUMN cas.replicas.succeeded_at IS 'When the last complete run began';
COMMENT ON COLUMN cas.replicas.locked_at IS 'All that lives there is locked for twice lock_days from then on, at least';
COMMENT ON COLUMN cas.replicas.settled IS 'What was looked at when nothing was left to be deleted';

CREATE TABLE cas.replica_versions (
    replica text NOT NULL REFERENCES cas.replicas (name) ON DELETE CASCADE,
    version bigint NOT NULL REFERENCES cas.versions (number),
    copied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    forgotten_at timestamptz,
    PRIMARY KEY (replica, version)
);
COMMENT ON TABLE cas.replica_versions IS 'Versions that were copied; what is forgotten on a replica is never copied there again';
