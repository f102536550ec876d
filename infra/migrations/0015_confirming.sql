-- A catalog that was made anew from its store lets nothing go until a person has looked.

ALTER TABLE cas.repository ADD COLUMN rebuilt_at timestamptz;
COMMENT ON COLUMN cas.repository.rebuilt_at IS 'When a rebuild took in what this catalog had never known; null once a person has confirmed that versions and packs may go again';
