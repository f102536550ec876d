-- When versions are taken without being asked for, and up to where a platform was watched.

CREATE TABLE cas.policies (
    kind text PRIMARY KEY CHECK (kind IN ('bulk-import', 'mass-change', 'structure', 'schema', 'every', 'follow')),
    rows bigint CHECK (rows > 0),
    percent double precision CHECK (percent > 0 AND percent <= 100),
    seconds double precision CHECK (seconds > 0),
    entities text[] NOT NULL DEFAULT '{}',
    set_by text NOT NULL,
    set_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT policies_rows CHECK ((kind IN ('bulk-import', 'mass-change')) = (rows IS NOT NULL)),
    CONSTRAINT policies_percent CHECK ((kind = 'mass-change') = (percent IS NOT NULL)),
    CONSTRAINT policies_seconds CHECK ((kind IN ('every', 'follow')) = (seconds IS NOT NULL)),
    CONSTRAINT policies_entities CHECK ((kind = 'structure') = (entities <> '{}'))
);
COMMENT ON TABLE cas.policies IS 'Reasons to take a version; auto-save is off where there is none';

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
