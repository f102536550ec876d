-- Packs that a collection writes in place of others, and readers whose packs are waited for. Versions that are
-- forgotten and come back, since somebody had protected them.

ALTER TABLE cas.packs
    DROP CONSTRAINT packs_owned,
    ADD COLUMN collector uuid,
    ADD CONSTRAINT packs_owned CHECK (state <> 'uploading' OR num_nonnulls(owner, collector) = 1);
COMMENT ON COLUMN cas.packs.owner IS 'The session that uploaded it; none for an adopted pack, and for one that a collection wrote';
COMMENT ON COLUMN cas.packs.collector IS 'The collection that uploaded it, in place of others';

ALTER TABLE cas.pins
    ADD COLUMN epoch bigint NOT NULL DEFAULT 0;
ALTER TABLE cas.pins
    ALTER COLUMN epoch DROP DEFAULT;
COMMENT ON COLUMN cas.pins.epoch IS 'What was condemned later is not deleted before the reader is done';

ALTER TABLE cas.versions
    ADD COLUMN forgotten_from text,
    ADD CONSTRAINT versions_forgotten_from CHECK (
        forgotten_from IS NULL OR (state = 'forgotten' AND forgotten_from IN ('complete', 'incomplete')));
COMMENT ON COLUMN cas.versions.forgotten_from IS 'What a forgotten version was, and is again where notes from before say that it stays';
UPDATE cas.versions SET forgotten_from = 'complete' WHERE state = 'forgotten';
