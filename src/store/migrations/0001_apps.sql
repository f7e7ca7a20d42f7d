-- Apps with their config, releases and deployments. JSON columns hold values of src/domain.ts.
CREATE TABLE apps (
  name            TEXT PRIMARY KEY,
  created_at      TEXT NOT NULL,
  settings        TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(settings)),
  formation       TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(formation)),
  is_stopped      INTEGER NOT NULL DEFAULT 0 CHECK (is_stopped IN (0, 1)),
  -- Counts up even when releases go, so that a number never means two releases.
  last_version    INTEGER NOT NULL DEFAULT 0,
  current_version INTEGER,
  FOREIGN KEY (name, current_version) REFERENCES releases (app, version)
) STRICT;

-- Values are AES-256-GCM, bound to app and key.
CREATE TABLE config (
  app   TEXT NOT NULL REFERENCES apps (name) ON DELETE CASCADE,
  key   TEXT NOT NULL,
  value BLOB NOT NULL,
  PRIMARY KEY (app, key)
) STRICT, WITHOUT ROWID;

-- The config snapshot is AES-256-GCM over JSON, bound to app and version.
CREATE TABLE releases (
  app        TEXT NOT NULL REFERENCES apps (name) ON DELETE CASCADE,
  version    INTEGER NOT NULL CHECK (version > 0),
  image      TEXT NOT NULL CHECK (json_valid(image)),
  config     BLOB NOT NULL,
  formation  TEXT NOT NULL CHECK (json_valid(formation)),
  port       INTEGER NOT NULL CHECK (port BETWEEN 1 AND 65535),
  readiness  TEXT NOT NULL CHECK (json_valid(readiness)),
  reason     TEXT NOT NULL,
  actor      TEXT NOT NULL,
  created_at TEXT NOT NULL,
  commit_id  TEXT,
  PRIMARY KEY (app, version)
) STRICT;

CREATE TABLE deployments (
  id         TEXT PRIMARY KEY CHECK (length(id) = 16),
  app        TEXT NOT NULL REFERENCES apps (name) ON DELETE CASCADE,
  status     TEXT NOT NULL
    CHECK (status IN ('queued', 'building', 'releasing', 'starting', 'succeeded', 'failed', 'canceled', 'superseded')),
  actor      TEXT NOT NULL,
  origin     TEXT NOT NULL CHECK (json_valid(origin)),
  reason     TEXT NOT NULL,
  failure    TEXT,
  version    INTEGER,
  created_at TEXT NOT NULL,
  started_at TEXT,
  ended_at   TEXT
) STRICT;
CREATE INDEX deployments_of_app ON deployments (app, id);
CREATE INDEX deployments_unfinished ON deployments (id) WHERE ended_at IS NULL;
