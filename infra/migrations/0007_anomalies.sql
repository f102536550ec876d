-- Counts of changes that are known of every version, and those among them that are unusual.

ALTER TABLE cas.version_entities
    ADD COLUMN compared_with bigint CHECK (compared_with > 0 AND compared_with < version),
    ADD CONSTRAINT version_entities_compared CHECK (compared_with IS NULL OR inserted IS NOT NULL);
COMMENT ON COLUMN cas.version_entities.inserted IS 'Null where it is not known, as in versions that were adopted';
COMMENT ON COLUMN cas.version_entities.compared_with IS 'The version against which changes are counted; null where nothing earlier is known: then all records are inserted';
CREATE INDEX version_entities_by_label ON cas.version_entities (left(label, 400), version);
COMMENT ON INDEX cas.version_entities_by_label IS 'Of the beginning only: a label in a document of the bucket may be longer than an index can hold';

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
