-- Several stores at once: replicas that new versions go to in the run that takes them, and where each version
-- is meant to be.

ALTER TABLE cas.replicas ADD COLUMN enabled boolean NOT NULL DEFAULT true;
ALTER TABLE cas.replicas ADD COLUMN mirror boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN cas.replicas.enabled IS 'One that is not is left alone by all who do not name it';
COMMENT ON COLUMN cas.replicas.mirror IS 'New versions are copied there in the run that takes them';

CREATE INDEX replica_versions_by_version ON cas.replica_versions (version);

CREATE TABLE cas.destinations (
    version bigint NOT NULL REFERENCES cas.versions (number),
    replica text NOT NULL REFERENCES cas.replicas (name) ON DELETE CASCADE,
    PRIMARY KEY (replica, version)
);
CREATE INDEX destinations_by_version ON cas.destinations (version);
COMMENT ON TABLE cas.destinations IS 'Where a version is meant to be beside the primary, known before it is there: one that is not there is partial';
