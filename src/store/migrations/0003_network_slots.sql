-- Which slot of the network pool an app has, or who gave it back when: a slot is not handed out again at once.
CREATE TABLE network_slots (
  slot        INTEGER PRIMARY KEY CHECK (slot >= 0),
  app         TEXT UNIQUE,
  released_at TEXT,
  CHECK ((app IS NULL) <> (released_at IS NULL))
) STRICT;

-- Facts about this database itself.
CREATE TABLE facts (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;
