-- When a release's image was given up. From then on nothing starts from it, whether or not the engine still has it.
ALTER TABLE releases ADD COLUMN image_collected_at TEXT;
-- Apps that came from another one share images with it: who else has this one is asked before it goes.
CREATE INDEX releases_of_image ON releases (json_extract(image, '$.reference'));

-- How many images of releases are kept; without a number the machine's setting holds.
ALTER TABLE apps ADD COLUMN keep_releases INTEGER CHECK (keep_releases BETWEEN 1 AND 1000);
