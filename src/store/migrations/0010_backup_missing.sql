-- What should have been in a backup and could not be had, in words: a JSON array.
ALTER TABLE backups ADD COLUMN missing TEXT NOT NULL DEFAULT '[]';
