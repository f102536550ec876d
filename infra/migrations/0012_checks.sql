-- When packs and versions were last checked, and what was found.

ALTER TABLE cas.packs
    DROP COLUMN checked_at,
    DROP COLUMN check_result,
    ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY UNIQUE;
COMMENT ON COLUMN cas.packs.number IS 'What version_checks calls it: a version may need thousands of packs';

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
