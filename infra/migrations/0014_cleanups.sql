-- When versions were last let go by the rules, and when garbage was last collected.

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
