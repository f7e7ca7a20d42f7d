-- Who may come in, and what was done. A token is kept as its SHA-256 only.
CREATE TABLE keys (
  name        TEXT PRIMARY KEY,
  type        TEXT NOT NULL,
  blob        TEXT NOT NULL UNIQUE,
  fingerprint TEXT NOT NULL UNIQUE,
  access      TEXT NOT NULL CHECK (json_valid(access)),
  created_at  TEXT NOT NULL
) STRICT;

CREATE TABLE tokens (
  name       TEXT PRIMARY KEY,
  hash       BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
  access     TEXT NOT NULL CHECK (json_valid(access)),
  created_at TEXT NOT NULL,
  expires_at TEXT
) STRICT;

-- Kept when the app goes: no foreign key.
CREATE TABLE audit (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  at      TEXT NOT NULL,
  actor   TEXT NOT NULL,
  via     TEXT NOT NULL,
  action  TEXT NOT NULL,
  app     TEXT,
  details TEXT NOT NULL CHECK (json_valid(details))
) STRICT;
CREATE INDEX audit_of_app ON audit (app, id);
