-- The task of an app's first deploy failed or was cut off: later deploys run it until it has succeeded once.
ALTER TABLE apps ADD COLUMN owes_first_postdeploy INTEGER NOT NULL DEFAULT 0;
-- What went wrong after the release had gone live; the deployment has succeeded all the same.
ALTER TABLE deployments ADD COLUMN warning TEXT;
