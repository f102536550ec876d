-- What people say of versions later, and versions that go: first marked, then let go, then history.

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

ALTER TABLE cas.versions
    DROP CONSTRAINT versions_state_check,
    DROP CONSTRAINT versions_result,
    ADD COLUMN forgotten_at timestamptz,
    ADD COLUMN forgotten_why text NOT NULL DEFAULT '',
    ADD CONSTRAINT versions_state CHECK (state IN
        ('pending', 'running', 'complete', 'incomplete', 'failed', 'forgotten', 'gone')),
    ADD CONSTRAINT versions_result CHECK (
        CASE WHEN state IN ('complete', 'incomplete', 'forgotten', 'gone')
            THEN num_nonnulls(duration_seconds, records, original_bytes, added_bytes, stored_bytes,
                              objects_written, checksum, document_hash) = 8
            ELSE num_nonnulls(records, original_bytes, added_bytes, stored_bytes,
                              objects_written, checksum, document_hash) = 0
        END),
    ADD CONSTRAINT versions_forgotten CHECK (
        (state IN ('forgotten', 'gone')) = (forgotten_at IS NOT NULL)
        AND (forgotten_at IS NULL) = (forgotten_why = '')),
    ADD CONSTRAINT versions_kept CHECK (forgotten_at IS NULL OR (hold = '' AND NOT protected));
COMMENT ON COLUMN cas.versions.state IS 'A running version whose session is over or whose lease has lapsed counts as failed; a forgotten one may still be read by who has pinned it, one that is gone has no document any more, or soon has none';
COMMENT ON COLUMN cas.versions.expires_at IS 'Set by hand: until then it stays, and no longer';
COMMENT ON COLUMN cas.versions.forgotten_why IS 'In words: a rule, or a person';
CREATE INDEX versions_forgotten_first ON cas.versions (number) WHERE state = 'forgotten';
