-- Volumes of apps. The engine's name stays the same for as long as the volume lives: the engine cannot rename one.
CREATE TABLE volumes (
  app         TEXT NOT NULL REFERENCES apps (name) ON DELETE CASCADE,
  name        TEXT NOT NULL,
  engine_name TEXT NOT NULL UNIQUE,
  created_at  TEXT NOT NULL,
  -- It has files or owners that came from an image or a backup: never again from an image.
  is_filled   INTEGER NOT NULL DEFAULT 0 CHECK (is_filled IN (0, 1)),
  PRIMARY KEY (app, name)
) STRICT, WITHOUT ROWID;

-- Renames under way. Before the new name is in force, a start of forge forgets them; afterwards it finishes them.
CREATE TABLE renames (
  old_name   TEXT PRIMARY KEY,
  new_name   TEXT NOT NULL UNIQUE,
  is_in_force INTEGER NOT NULL DEFAULT 0 CHECK (is_in_force IN (0, 1))
) STRICT;

-- Volumes that nothing names any more: forge removes them as soon as no container holds them.
CREATE TABLE dropped_volumes (
  engine_name TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
