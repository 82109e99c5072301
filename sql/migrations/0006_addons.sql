-- Add-ons and what comes with them: attachments, backups of databases, scheduled jobs, volumes.
CREATE TABLE addons (
	id TEXT PRIMARY KEY,
	name TEXT NOT NULL UNIQUE,           -- postgresql-round-12345
	app_id TEXT REFERENCES apps (id) ON DELETE SET NULL, -- owner; NULL = destroyed, the add-on is on its way out
	app_name TEXT NOT NULL,              -- of the owner when it was made
	service TEXT NOT NULL,               -- manifest's name: heroku-postgresql
	plan TEXT NOT NULL,                  -- essential-0
	state TEXT NOT NULL CHECK (state IN ('provisioning', 'provisioned', 'deprovisioning', 'failed')),
	task TEXT NOT NULL DEFAULT 'provision', -- the machine's: provision, change, rotate, deprovision, none
	target_plan TEXT,                    -- of task change
	args TEXT NOT NULL DEFAULT '{}',     -- JSON, of the task: who asked for it, which credential
	task_ms INTEGER NOT NULL,            -- since when it is under way
	options TEXT NOT NULL DEFAULT '{}',  -- JSON: --key value of the user
	provider_id TEXT,                    -- the provider's own id
	message TEXT,                        -- of the provider, for people
	failure TEXT,                        -- why the last task failed
	web_url TEXT,
	config BLOB NOT NULL,                -- sealed JSON object: suffix of the config var ("URL") -> value
	private BLOB NOT NULL,               -- sealed JSON object that the provider keeps for itself
	callback_hash TEXT,                  -- SHA-256 of the secret in a partner's callback URL
	tries INTEGER NOT NULL DEFAULT 0,
	next_ms INTEGER,                     -- when the machine looks again; NULL = nothing to do
	user_id TEXT REFERENCES users (id),
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX addons_app ON addons (app_id);
CREATE INDEX addons_due ON addons (next_ms) WHERE next_ms IS NOT NULL;

CREATE TABLE attachments (
	id TEXT PRIMARY KEY,
	addon_id TEXT NOT NULL REFERENCES addons (id) ON DELETE CASCADE,
	app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	name TEXT NOT NULL,                  -- DATABASE; its config vars are NAME_URL and the like
	namespace TEXT,                      -- credential:NAME
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL,
	UNIQUE (app_id, name)
) STRICT;
CREATE INDEX attachments_addon ON attachments (addon_id);

CREATE TABLE addon_credentials (             -- further ones than the add-on's own
	id TEXT PRIMARY KEY,
	addon_id TEXT NOT NULL REFERENCES addons (id) ON DELETE CASCADE,
	name TEXT NOT NULL,
	config BLOB NOT NULL,                -- sealed, as of addons
	private BLOB NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('active', 'rotating', 'revoked')),
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL,
	UNIQUE (addon_id, name)
) STRICT;

CREATE TABLE addon_shared (                  -- what bin/service of a service with one process for all keeps
	service TEXT PRIMARY KEY,            -- manifest's name
	private BLOB NOT NULL                -- sealed JSON object
) STRICT;

-- JSON: plans of the add-ons attached then, and which config vars of the snapshot were theirs.
ALTER TABLE releases ADD COLUMN addons TEXT NOT NULL DEFAULT '{}';

-- Long-lived sandboxes of the platform itself: a database cluster, a Redis server.
CREATE TABLE services (
	id TEXT PRIMARY KEY,                 -- names its folder STATE/services/ID
	uid INTEGER NOT NULL UNIQUE,         -- as of apps, of the same range: none is both
	kind TEXT NOT NULL,                  -- postgresql, redis
	provider TEXT NOT NULL,              -- name of its provider's folder, as addons.service: heroku-postgresql
	shared INTEGER NOT NULL,             -- 1 = of all add-ons of its provider
	addon_id TEXT REFERENCES addons (id) ON DELETE SET NULL, -- whose it is; NULL and not shared = nobody's any more
	address INTEGER NOT NULL UNIQUE,     -- index of its fixed address
	port INTEGER NOT NULL,
	plain_port INTEGER NOT NULL,         -- on 127.0.0.1, where there are no sandboxes
	wanted INTEGER NOT NULL DEFAULT 1,   -- 0 = to be stopped and removed
	spec TEXT NOT NULL,                  -- JSON: command, memory, environment without secrets
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX services_shared ON services (kind) WHERE shared;
CREATE UNIQUE INDEX services_addon ON services (addon_id) WHERE addon_id IS NOT NULL;

-- Dumps, restores and copies of databases (the data API's transfers).
CREATE TABLE transfers (
	id TEXT PRIMARY KEY,                 -- names a backup's file STATE/backups/ID
	app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE, -- owner of the add-on
	addon_id TEXT REFERENCES addons (id) ON DELETE SET NULL, -- a backup's source, else the target
	num INTEGER NOT NULL,                -- from 1, per app
	kind TEXT NOT NULL CHECK (kind IN ('backup', 'restore', 'copy')),
	from_name TEXT NOT NULL, to_name TEXT NOT NULL, -- as people call them: DATABASE, BACKUP
	from_addon_id TEXT,                  -- a copy's source
	from_transfer_id TEXT,               -- the backup that is restored
	from_url BLOB,                       -- sealed; a source that is neither
	extensions TEXT NOT NULL DEFAULT '', -- made before a restore: "hstore,geo.postgis"
	state TEXT NOT NULL CHECK (state IN ('pending', 'running', 'verifying', 'succeeded', 'failed', 'canceled')),
	tries INTEGER NOT NULL DEFAULT 0,    -- how often it was begun: again after a crash
	schedule_id TEXT,
	user_id TEXT REFERENCES users (id) ON DELETE SET NULL,
	file_key BLOB,                       -- sealed; NULL = there is no file
	checksum TEXT,                       -- SHA-256 of the dump
	source_bytes INTEGER, processed_bytes INTEGER,
	verified_ms INTEGER,                 -- restored elsewhere and found to be the same
	failure TEXT,
	log TEXT NOT NULL DEFAULT '[]',      -- JSON array of {created_at, level, message}
	started_ms INTEGER, finished_ms INTEGER, canceled_ms INTEGER, deleted_ms INTEGER,
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL,
	UNIQUE (app_id, num)
) STRICT;
CREATE INDEX transfers_addon ON transfers (addon_id);
CREATE INDEX transfers_open ON transfers (state) WHERE state IN ('pending', 'running', 'verifying');

CREATE TABLE transfer_schedules (
	id TEXT PRIMARY KEY,
	addon_id TEXT NOT NULL REFERENCES addons (id) ON DELETE CASCADE,
	name TEXT NOT NULL,                  -- DATABASE_URL
	hour INTEGER NOT NULL, timezone TEXT NOT NULL,
	next_ms INTEGER NOT NULL,
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL,
	UNIQUE (addon_id, name)
) STRICT;

CREATE TABLE jobs (                          -- of the scheduler
	id TEXT PRIMARY KEY,
	app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	name TEXT NOT NULL,                  -- for people; of app.json's cron: its command
	command TEXT NOT NULL,
	schedule TEXT NOT NULL,              -- "every 10 minutes", "hourly:30", "daily:06:30", or a cron expression
	timezone TEXT NOT NULL DEFAULT 'UTC',
	size TEXT,
	overlap TEXT NOT NULL DEFAULT 'skip' CHECK (overlap IN ('skip', 'allow', 'replace')), -- when one still runs
	missed TEXT NOT NULL DEFAULT 'skip' CHECK (missed IN ('skip', 'once')),
	enabled INTEGER NOT NULL DEFAULT 1,
	manifest INTEGER NOT NULL DEFAULT 0, -- 1 = of app.json: follows it
	next_ms INTEGER,                     -- NULL: disabled
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX jobs_app ON jobs (app_id);
CREATE INDEX jobs_due ON jobs (next_ms) WHERE next_ms IS NOT NULL;

CREATE TABLE job_runs (
	id TEXT PRIMARY KEY,                 -- also of the dyno
	job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
	dyno TEXT,                           -- scheduler.1234; NULL: skipped
	due_ms INTEGER NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('starting', 'running', 'succeeded', 'failed', 'skipped', 'lost')),
	exit_code INTEGER, failure TEXT,
	started_ms INTEGER, ended_ms INTEGER
) STRICT;
CREATE INDEX job_runs_job ON job_runs (job_id, due_ms);
CREATE INDEX job_runs_open ON job_runs (state) WHERE state IN ('starting', 'running');

CREATE TABLE volumes (
	id TEXT PRIMARY KEY,                 -- names its folder STATE/volumes/ID
	name TEXT NOT NULL UNIQUE,
	user_id TEXT NOT NULL REFERENCES users (id), -- whose it is, whatever becomes of the app
	size_mb INTEGER NOT NULL,            -- quota
	state TEXT NOT NULL CHECK (state IN ('creating', 'available', 'destroying')),
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX volumes_user ON volumes (user_id);

CREATE TABLE volume_attachments (
	id TEXT PRIMARY KEY,
	volume_id TEXT NOT NULL UNIQUE REFERENCES volumes (id) ON DELETE CASCADE,
	app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	path TEXT NOT NULL,                  -- in the dyno: /app/storage
	read_only INTEGER NOT NULL DEFAULT 0,
	created_ms INTEGER NOT NULL,
	UNIQUE (app_id, path)
) STRICT;
