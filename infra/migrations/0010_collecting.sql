-- Who collects what nobody needs, and which packs are about to go.

CREATE TABLE cas.collector (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    id uuid,
    host text NOT NULL DEFAULT '',
    pid integer NOT NULL DEFAULT 0,
    lease_until timestamptz,
    CONSTRAINT collector_leased CHECK ((id IS NULL) = (lease_until IS NULL))
);
COMMENT ON TABLE cas.collector IS 'The one that collects now; no id where nobody does';
INSERT INTO cas.collector DEFAULT VALUES;

ALTER TABLE cas.epoch
    ADD COLUMN announced bigint,
    ADD COLUMN token text NOT NULL DEFAULT '',
    ADD CONSTRAINT epoch_announced CHECK (announced = journal + 1),
    ADD CONSTRAINT epoch_token CHECK ((announced IS NULL) = (token = ''));
COMMENT ON COLUMN cas.epoch.token IS 'Tells the announced journal from one that another catalog has put';
COMMENT ON COLUMN cas.epoch.announced IS 'Number of the journal that a collector is about to put, or has put; null once its packs are being deleted';

ALTER TABLE cas.packs
    ADD COLUMN announced boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT packs_announced CHECK (NOT announced OR state = 'condemned');
COMMENT ON COLUMN cas.packs.announced IS 'Named in the journal that is announced';
