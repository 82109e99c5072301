-- Ids are uuids as text; times are milliseconds since the epoch; secrets are sealed with the master key.
CREATE TABLE users (
	id TEXT PRIMARY KEY,
	email TEXT NOT NULL UNIQUE COLLATE NOCASE,
	name TEXT,
	password TEXT,                       -- argon2id; NULL = no password login
	admin INTEGER NOT NULL DEFAULT 0,
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL,
	last_login_ms INTEGER
) STRICT;

CREATE TABLE authorizations (
	id TEXT PRIMARY KEY,
	user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	token_id TEXT NOT NULL,
	token_hash TEXT NOT NULL UNIQUE,     -- SHA-256, hex
	token_prefix TEXT NOT NULL,          -- shown in lists, masked
	description TEXT NOT NULL,
	scope TEXT NOT NULL DEFAULT 'global', -- space-separated
	expires_ms INTEGER,
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX authorizations_user ON authorizations (user_id);

CREATE TABLE apps (
	id TEXT PRIMARY KEY,
	uid INTEGER NOT NULL UNIQUE,         -- index of the app's user in the instance's uid range
	name TEXT NOT NULL UNIQUE,
	owner_id TEXT NOT NULL REFERENCES users (id),
	stack TEXT NOT NULL,
	build_stack TEXT NOT NULL,
	maintenance INTEGER NOT NULL DEFAULT 0,
	state TEXT NOT NULL DEFAULT 'live' CHECK (state IN ('live', 'destroying')),
	language TEXT,                       -- buildpack_provided_description
	next_version INTEGER NOT NULL DEFAULT 1,
	next_oneoff INTEGER NOT NULL DEFAULT 1000, -- run.N: 1000 to 9999, round and round
	deployed INTEGER NOT NULL DEFAULT 0, -- had process types once: web no longer starts at 1
	repo_size INTEGER,
	slug_size INTEGER,
	released_ms INTEGER,
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX apps_owner ON apps (owner_id);

CREATE TABLE collaborators (                 -- the owner has a row, too
	id TEXT PRIMARY KEY,
	app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	permissions TEXT NOT NULL DEFAULT 'view deploy operate manage',
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL,
	UNIQUE (app_id, user_id)
) STRICT;
CREATE INDEX collaborators_user ON collaborators (user_id);

CREATE TABLE buildpacks (                    -- explicit list, or the one detection remembered
	app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	ordinal INTEGER NOT NULL,
	url TEXT NOT NULL,
	detected INTEGER NOT NULL DEFAULT 0,
	PRIMARY KEY (app_id, ordinal)
) STRICT;

CREATE TABLE slugs (
	id TEXT PRIMARY KEY,
	app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	commit_id TEXT,
	commit_description TEXT,
	process_types TEXT NOT NULL,         -- JSON object
	language TEXT,
	size INTEGER,
	checksum TEXT,
	stack TEXT NOT NULL,
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX slugs_app ON slugs (app_id, created_ms);

CREATE TABLE builds (
	id TEXT PRIMARY KEY,
	app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	user_id TEXT NOT NULL REFERENCES users (id),
	status TEXT NOT NULL CHECK (status IN ('pending', 'succeeded', 'failed')),
	source TEXT NOT NULL CHECK (source IN ('git', 'tarball')),
	source_url TEXT NOT NULL DEFAULT '',
	ref TEXT,                            -- of a git push: to finish it after a crash
	version TEXT,                        -- commit id or free text
	version_description TEXT,
	checksum TEXT,
	buildpacks TEXT NOT NULL DEFAULT '[]', -- JSON array of {url, name}
	stack TEXT NOT NULL,
	slug_id TEXT REFERENCES slugs (id) ON DELETE SET NULL,
	release_id TEXT,
	failure TEXT,
	output_secret TEXT NOT NULL,         -- capability in output_stream_url
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX builds_app ON builds (app_id, created_ms);
CREATE INDEX builds_slug ON builds (slug_id);
CREATE INDEX builds_pending ON builds (status) WHERE status = 'pending';

CREATE TABLE releases (
	id TEXT PRIMARY KEY,
	app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	version INTEGER NOT NULL,
	slug_id TEXT REFERENCES slugs (id) ON DELETE SET NULL,
	config BLOB NOT NULL,                -- sealed JSON object: the frozen config vars
	process_types TEXT NOT NULL,         -- JSON object, frozen
	description TEXT NOT NULL,
	user_id TEXT NOT NULL REFERENCES users (id),
	build_id TEXT,
	status TEXT NOT NULL CHECK (status IN ('pending', 'succeeded', 'failed', 'expired')),
	phase TEXT NOT NULL DEFAULT 'queued', -- of the deploy machine
	current INTEGER NOT NULL DEFAULT 0,
	has_command INTEGER NOT NULL DEFAULT 0,
	command_dyno TEXT,                   -- id of the release dyno while it runs
	failure TEXT,
	output_secret TEXT NOT NULL,
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL,
	UNIQUE (app_id, version)
) STRICT;
CREATE UNIQUE INDEX releases_current ON releases (app_id) WHERE current = 1;
CREATE INDEX releases_slug ON releases (slug_id);
CREATE INDEX releases_pending ON releases (status) WHERE status = 'pending';

CREATE TABLE formation (
	id TEXT PRIMARY KEY,
	app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	type TEXT NOT NULL,
	quantity INTEGER NOT NULL CHECK (quantity >= 0),
	size TEXT NOT NULL,
	command TEXT NOT NULL,
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL,
	UNIQUE (app_id, type)
) STRICT;

CREATE TABLE crashes (                       -- back-off of formation dynos, kept across restarts
	app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	name TEXT NOT NULL,                  -- web.1
	count INTEGER NOT NULL,
	restart_ms INTEGER NOT NULL,
	PRIMARY KEY (app_id, name)
) STRICT;

CREATE TABLE log_sessions (
	id TEXT PRIMARY KEY,
	secret_hash TEXT NOT NULL UNIQUE,
	app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	source TEXT, dyno TEXT,
	lines INTEGER NOT NULL,
	tail INTEGER NOT NULL,
	created_ms INTEGER NOT NULL,
	opened_ms INTEGER                    -- first use; NULL = not yet
) STRICT;
CREATE INDEX log_sessions_app ON log_sessions (app_id);

CREATE TABLE audit (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	at_ms INTEGER NOT NULL,
	actor_id TEXT, actor TEXT,           -- kept when the user goes
	app_id TEXT, app TEXT,
	action TEXT NOT NULL,                -- "config.set"
	detail TEXT NOT NULL DEFAULT '',     -- keys, never values
	request_id TEXT, peer TEXT
) STRICT;
CREATE INDEX audit_app ON audit (app_id, seq);
