-- Tables whose changes are no reason to take a version.

ALTER TABLE cas.policies
    DROP CONSTRAINT policies_kind_check,
    DROP CONSTRAINT policies_entities,
    ADD CONSTRAINT policies_kind CHECK (kind IN
        ('bulk-import', 'mass-change', 'structure', 'schema', 'every', 'follow', 'leave-out')),
    ADD CONSTRAINT policies_entities CHECK ((kind IN ('structure', 'leave-out')) = (entities <> '{}'));
COMMENT ON TABLE cas.policies IS 'Reasons to take a version, and what is none; auto-save is off where there is no reason';
