-- A release keeps the app's settings and what the code's own files ask for; checks are lists by process type.
ALTER TABLE releases ADD COLUMN settings TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(settings));
ALTER TABLE releases ADD COLUMN app_file TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(app_file));
UPDATE releases SET settings = json_object('checks', json_object('web', json_array(
  CASE WHEN json_extract(readiness, '$.path') IS NULL
    THEN json_object('kind', 'startup', 'probe', json_object('kind', 'tcp'),
      'initialDelayMs', 0, 'timeoutMs', 5000, 'attempts', 1, 'waitMs', json_extract(readiness, '$.timeoutMs'))
    ELSE json_object('kind', 'startup', 'probe', json_object('kind', 'http', 'path', json_extract(readiness, '$.path')),
      'initialDelayMs', 0, 'timeoutMs', 5000, 'attempts', 1, 'waitMs', json_extract(readiness, '$.timeoutMs'))
  END)));
ALTER TABLE releases DROP COLUMN readiness;

UPDATE apps SET settings = json_remove(json_set(settings, '$.checks', json_object('web', json_array(
  CASE WHEN json_extract(settings, '$.readiness.path') IS NULL
    THEN json_object('kind', 'startup', 'probe', json_object('kind', 'tcp'),
      'initialDelayMs', 0, 'timeoutMs', 5000, 'attempts', 1, 'waitMs', json_extract(settings, '$.readiness.timeoutMs'))
    ELSE json_object('kind', 'startup', 'probe', json_object('kind', 'http', 'path', json_extract(settings, '$.readiness.path')),
      'initialDelayMs', 0, 'timeoutMs', 5000, 'attempts', 1, 'waitMs', json_extract(settings, '$.readiness.timeoutMs'))
  END))), '$.readiness')
WHERE json_extract(settings, '$.readiness') IS NOT NULL;

ALTER TABLE apps ADD COLUMN lock TEXT CHECK (lock IS NULL OR json_valid(lock));
ALTER TABLE apps ADD COLUMN is_being_removed INTEGER NOT NULL DEFAULT 0 CHECK (is_being_removed IN (0, 1));

-- What the app was before the deployment's release became current, encrypted; there until the deployment has ended.
ALTER TABLE deployments ADD COLUMN undo BLOB;
