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
