-- Commands in containers of their own that nobody waits for: started by a person, or by a schedule of app.json.
CREATE TABLE jobs (
  id          TEXT PRIMARY KEY CHECK (length(id) = 8),
  app         TEXT NOT NULL REFERENCES apps (name) ON DELETE CASCADE ON UPDATE CASCADE,
  -- As in the log: run.1a2b3c4d, cron.nightly
  name        TEXT NOT NULL,
  -- Of the schedule; NULL for a command of a person's.
  entry       TEXT,
  program     TEXT NOT NULL,
  version     INTEGER NOT NULL,
  actor       TEXT NOT NULL,
  -- The time of the schedule that it is for; NULL when a person started it.
  due_at      TEXT,
  created_at  TEXT NOT NULL,
  deadline_at TEXT NOT NULL,
  ended_at    TEXT,
  outcome     TEXT CHECK (outcome IN ('succeeded', 'failed', 'timed-out', 'stopped', 'replaced', 'interrupted', 'skipped', 'missed')),
  status      INTEGER,
  failure     TEXT,
  CHECK ((ended_at IS NULL) = (outcome IS NULL))
) STRICT;
CREATE INDEX jobs_of_app ON jobs (app, entry, created_at);
CREATE INDEX jobs_unfinished ON jobs (app) WHERE ended_at IS NULL;

-- Up to which time each schedule was dealt with. A schedule that changes begins anew.
CREATE TABLE cron_marks (
  app           TEXT NOT NULL REFERENCES apps (name) ON DELETE CASCADE ON UPDATE CASCADE,
  entry         TEXT NOT NULL,
  schedule      TEXT NOT NULL,
  time_zone     TEXT NOT NULL,
  handled_until TEXT NOT NULL,
  PRIMARY KEY (app, entry)
) STRICT, WITHOUT ROWID;

-- What a person suspended; it outlives deploys. The entry '' means all of the app.
CREATE TABLE cron_suspensions (
  app   TEXT NOT NULL REFERENCES apps (name) ON DELETE CASCADE ON UPDATE CASCADE,
  entry TEXT NOT NULL,
  PRIMARY KEY (app, entry)
) STRICT, WITHOUT ROWID;
