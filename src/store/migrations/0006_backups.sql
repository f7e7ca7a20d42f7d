-- Scheduled backups and those that were asked for: where they went and how they ended.
CREATE TABLE backups (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  -- Name of the file in the folder of backups; NULL: it went to whoever asked.
  file       TEXT,
  actor      TEXT NOT NULL,
  started_at TEXT NOT NULL,
  ended_at   TEXT,
  size_bytes INTEGER,
  failure    TEXT
) STRICT;
