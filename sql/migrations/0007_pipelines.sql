-- Continuous delivery: pipelines, promotions, app setups, review apps, git providers.
CREATE TABLE pipelines (
	id TEXT PRIMARY KEY,
	name TEXT NOT NULL UNIQUE,
	owner_id TEXT NOT NULL REFERENCES users (id),
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX pipelines_owner ON pipelines (owner_id);

CREATE TABLE pipeline_couplings (
	id TEXT PRIMARY KEY,
	app_id TEXT NOT NULL UNIQUE REFERENCES apps (id) ON DELETE CASCADE,
	pipeline_id TEXT NOT NULL REFERENCES pipelines (id) ON DELETE CASCADE,
	stage TEXT NOT NULL CHECK (stage IN ('test', 'review', 'development', 'staging', 'production')),
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX pipeline_couplings_pipeline ON pipeline_couplings (pipeline_id);

CREATE TABLE pipeline_config (               -- config vars of a stage: review, test
	pipeline_id TEXT NOT NULL REFERENCES pipelines (id) ON DELETE CASCADE,
	stage TEXT NOT NULL,
	config BLOB NOT NULL,                -- sealed JSON object
	updated_ms INTEGER NOT NULL,
	PRIMARY KEY (pipeline_id, stage)
) STRICT;

CREATE TABLE promotions (
	id TEXT PRIMARY KEY,
	pipeline_id TEXT NOT NULL REFERENCES pipelines (id) ON DELETE CASCADE,
	source_app_id TEXT NOT NULL,
	source_release_id TEXT NOT NULL,
	slug_id TEXT NOT NULL,
	user_id TEXT NOT NULL REFERENCES users (id),
	status TEXT NOT NULL CHECK (status IN ('pending', 'completed')),
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX promotions_pipeline ON promotions (pipeline_id);
CREATE INDEX promotions_pending ON promotions (status) WHERE status = 'pending';

CREATE TABLE promotion_targets (
	id TEXT PRIMARY KEY,
	promotion_id TEXT NOT NULL REFERENCES promotions (id) ON DELETE CASCADE,
	app_id TEXT NOT NULL,
	release_id TEXT,
	status TEXT NOT NULL CHECK (status IN ('pending', 'succeeded', 'failed')),
	error_message TEXT,
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX promotion_targets_promotion ON promotion_targets (promotion_id);
CREATE INDEX promotion_targets_release ON promotion_targets (release_id);
CREATE INDEX promotion_targets_pending ON promotion_targets (status) WHERE status = 'pending';

-- A target ends with its release, in one commit: nothing can come between the two.
CREATE TRIGGER promotion_target_ended AFTER UPDATE OF status ON releases
WHEN OLD.status = 'pending' AND NEW.status <> 'pending' BEGIN
	UPDATE promotion_targets SET status = CASE NEW.status WHEN 'succeeded' THEN 'succeeded' ELSE 'failed' END,
		error_message = NEW.failure, updated_ms = NEW.updated_ms
	WHERE release_id = NEW.id AND status = 'pending';
END;
CREATE TRIGGER promotion_target_gone AFTER DELETE ON releases WHEN OLD.status = 'pending' BEGIN
	UPDATE promotion_targets SET status = 'failed', error_message = 'The app was destroyed.'
	WHERE release_id = OLD.id AND status = 'pending';
END;
CREATE TRIGGER promotion_completed AFTER UPDATE OF status ON promotion_targets
WHEN NEW.status <> 'pending' AND NOT EXISTS
	(SELECT 1 FROM promotion_targets WHERE promotion_id = NEW.promotion_id AND status = 'pending') BEGIN
	UPDATE promotions SET status = 'completed', updated_ms = NEW.updated_ms WHERE id = NEW.promotion_id;
END;

CREATE TABLE app_setups (
	id TEXT PRIMARY KEY,
	app_id TEXT NOT NULL,                -- no reference: it is told of after a failed setup's app is gone
	app_name TEXT NOT NULL,
	user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	status TEXT NOT NULL CHECK (status IN ('pending', 'failed', 'succeeded')),
	step TEXT NOT NULL,                  -- of the setup machine: source, manifest, config, addons, build, scale, postdeploy, done
	environment TEXT,                    -- of app.json: review, test
	stack TEXT,                          -- asked for
	source TEXT NOT NULL,                -- JSON: {kind, ...} without secrets, see daemon/setup/setup.h
	version TEXT,
	overrides BLOB NOT NULL,             -- sealed JSON: {source, fixed, env, stage, buildpacks}
	keep INTEGER NOT NULL DEFAULT 0,     -- 1 = the app stays when the setup fails
	canceled INTEGER NOT NULL DEFAULT 0,
	manifest TEXT,                       -- app.json as it came; '' = there is none
	build_id TEXT,
	failure TEXT,
	manifest_errors TEXT NOT NULL DEFAULT '[]',
	postdeploy_state TEXT NOT NULL DEFAULT 'none' CHECK (postdeploy_state IN ('none', 'running', 'done')),
	postdeploy_dyno TEXT, postdeploy_exit INTEGER, postdeploy_output TEXT,
	resolved_success_url TEXT,
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX app_setups_app ON app_setups (app_id);
CREATE INDEX app_setups_pending ON app_setups (status) WHERE status = 'pending';

-- What app.json says beyond Heroku's keys, of the slug's tree: kept with the slug.
ALTER TABLE slugs ADD COLUMN manifest TEXT;  -- JSON: {healthchecks, cron}; NULL = none

CREATE TABLE repos (                         -- the provider's repository that a pipeline is connected to
	id TEXT PRIMARY KEY,
	pipeline_id TEXT NOT NULL UNIQUE REFERENCES pipelines (id) ON DELETE CASCADE,
	num INTEGER NOT NULL UNIQUE,         -- API: an integer
	provider TEXT NOT NULL CHECK (provider IN ('github', 'gitlab', 'gitea')),
	base_url TEXT NOT NULL,              -- https://github.com, or one's own server
	full_name TEXT NOT NULL,             -- owner/name
	token BLOB NOT NULL,                 -- sealed; of the API and of https git; empty = none
	deploy_key BLOB,                     -- sealed; ssh
	hook_secret BLOB NOT NULL,           -- sealed
	hook_url TEXT NOT NULL,              -- of ours: where the provider's deliveries come to
	hook_id TEXT,                        -- at the provider, when it could be made
	failure TEXT,                        -- of the last look at it; NULL = it went well
	reconciled_ms INTEGER,
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE repo_deliveries (               -- of webhooks, against replay
	repo_id TEXT NOT NULL REFERENCES repos (id) ON DELETE CASCADE,
	delivery TEXT NOT NULL,
	at_ms INTEGER NOT NULL,
	PRIMARY KEY (repo_id, delivery)
) STRICT, WITHOUT ROWID;
CREATE INDEX repo_deliveries_at ON repo_deliveries (at_ms);

CREATE TABLE repo_looks (                    -- subjects that have moved, to be looked at through the provider's API
	repo_id TEXT NOT NULL REFERENCES repos (id) ON DELETE CASCADE,
	kind TEXT NOT NULL CHECK (kind IN ('pull', 'branch', 'checks')),
	subject TEXT NOT NULL,               -- number, branch, commit
	seq INTEGER NOT NULL,                -- one more with each move: who has looked sees whether it moved meanwhile
	tries INTEGER NOT NULL DEFAULT 0,
	next_ms INTEGER NOT NULL,
	PRIMARY KEY (repo_id, kind, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX repo_looks_next ON repo_looks (next_ms);

CREATE TABLE repo_tells (                    -- what is to stand at the provider about a deployment: the newest of a key
	repo_id TEXT NOT NULL REFERENCES repos (id) ON DELETE CASCADE,
	key TEXT NOT NULL,
	number INTEGER NOT NULL,             -- of the pull request that gets the comment; 0 = none
	sha TEXT NOT NULL,
	environment TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('pending', 'success', 'failure', 'inactive')),
	url TEXT, log_url TEXT, text TEXT, comment TEXT,
	last INTEGER NOT NULL,               -- the row goes once it has been told
	seq INTEGER NOT NULL,                -- as in repo_looks
	told_seq INTEGER NOT NULL DEFAULT 0, -- equal to seq: all of it has been told, or was given up
	status_seq INTEGER NOT NULL DEFAULT 0, -- likewise, of the status alone
	deployment_id TEXT, deployment_sha TEXT,
	comment_id TEXT, comment_sum TEXT,   -- hash of what the comment says now
	begun TEXT NOT NULL DEFAULT '',      -- what is being made: after a crash it is looked for first
	tries INTEGER NOT NULL DEFAULT 0,
	first_ms INTEGER NOT NULL,           -- of the tries
	next_ms INTEGER NOT NULL,
	failure TEXT,
	PRIMARY KEY (repo_id, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE auto_deploys (                  -- of a branch to an app
	app_id TEXT PRIMARY KEY REFERENCES apps (id) ON DELETE CASCADE,
	branch TEXT NOT NULL,
	wait_for_ci INTEGER NOT NULL DEFAULT 0,
	user_id TEXT REFERENCES users (id) ON DELETE SET NULL, -- who asked for it: its builds are theirs
	pending_commit TEXT,                 -- head of the branch, when it is not deployed yet
	pending_since_ms INTEGER,
	deployed_commit TEXT,                -- the last that was tried, whatever came of it
	status TEXT NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'checks', 'deploying', 'deployed', 'failed')),
	message TEXT,
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE review_configs (
	pipeline_id TEXT PRIMARY KEY REFERENCES pipelines (id) ON DELETE CASCADE,
	automatic INTEGER NOT NULL DEFAULT 0,
	destroy_stale INTEGER NOT NULL DEFAULT 0,
	stale_days INTEGER NOT NULL DEFAULT 5,
	wait_for_ci INTEGER NOT NULL DEFAULT 0,
	base_name TEXT,
	max_apps INTEGER NOT NULL DEFAULT 20,  -- an extension, as the next
	sleep_minutes INTEGER NOT NULL DEFAULT 30, -- 0 = never
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE review_apps (
	id TEXT PRIMARY KEY,
	pipeline_id TEXT NOT NULL REFERENCES pipelines (id) ON DELETE CASCADE,
	app_id TEXT REFERENCES apps (id) ON DELETE SET NULL,
	setup_id TEXT REFERENCES app_setups (id) ON DELETE SET NULL,
	branch TEXT NOT NULL,
	pr_number INTEGER,
	fork TEXT NOT NULL DEFAULT '',       -- full name of the head's repository when it is another
	source TEXT NOT NULL CHECK (source IN ('provider', 'push', 'url')),
	source_url BLOB,                     -- of source url: sealed
	commit_id TEXT,                      -- wanted; NULL = what the branch is at when it is looked at
	arrived_ms INTEGER NOT NULL,         -- since when that is wanted
	tried_commit TEXT,                   -- last one that a setup or deploy ended with, well or not
	deployed_commit TEXT,
	status TEXT NOT NULL CHECK (status IN ('pending', 'creating', 'created', 'deleting', 'deleted', 'errored')),
	wanted INTEGER NOT NULL DEFAULT 1,   -- 0 = to be destroyed, whatever is under way
	predestroyed INTEGER NOT NULL DEFAULT 0, -- pr-predestroy has been started
	dismissed INTEGER NOT NULL DEFAULT 0, -- ended while its request was open: none is made of that commit by itself
	error_status TEXT, message TEXT,
	wait_for_ci INTEGER NOT NULL DEFAULT 0,
	creator_id TEXT REFERENCES users (id),
	environment BLOB NOT NULL,           -- sealed JSON: config vars of the request
	tries INTEGER NOT NULL DEFAULT 0,
	next_ms INTEGER,                     -- when the machine looks again; NULL = nothing to do
	active_ms INTEGER NOT NULL,          -- last deploy, for staleness
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX review_apps_pipeline ON review_apps (pipeline_id);
CREATE INDEX review_apps_app ON review_apps (app_id);
CREATE INDEX review_apps_setup ON review_apps (setup_id);
CREATE INDEX review_apps_due ON review_apps (next_ms) WHERE next_ms IS NOT NULL;
CREATE UNIQUE INDEX review_apps_branch ON review_apps (pipeline_id, branch, fork) WHERE status <> 'deleted';

CREATE VIEW review_rows AS
SELECT r.id, r.pipeline_id, r.app_id, r.setup_id, r.creator_id, a.name AS app_name, r.branch, r.pr_number, r.fork, r.source, r.commit_id, r.tried_commit,
	r.deployed_commit, r.status, r.wanted, r.predestroyed, r.wait_for_ci, r.error_status, r.message, r.tries, r.arrived_ms, r.active_ms,
	r.created_ms, r.updated_ms, r.next_ms
FROM review_apps r LEFT JOIN apps a ON a.id = r.app_id;

CREATE TABLE sleeping_apps (                 -- apps that sleep when nobody asks for them
	app_id TEXT PRIMARY KEY REFERENCES apps (id) ON DELETE CASCADE,
	after_s INTEGER NOT NULL,            -- without a request
	asleep INTEGER NOT NULL DEFAULT 0,
	since_ms INTEGER                     -- asleep, or awake
) STRICT;
