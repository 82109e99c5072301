-- What leaves the platform by itself: log drains, webhooks.
CREATE TABLE log_drains (
	id TEXT PRIMARY KEY,
	app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	token TEXT NOT NULL UNIQUE,          -- d.UUID
	url BLOB NOT NULL,                   -- sealed: may hold credentials
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX log_drains_app ON log_drains (app_id);

-- Without their app webhooks stay until they have told of its end.
CREATE TABLE webhooks (
	id TEXT PRIMARY KEY,
	app_id TEXT REFERENCES apps (id) ON DELETE SET NULL,
	url TEXT NOT NULL,
	include TEXT NOT NULL,               -- JSON array
	level TEXT NOT NULL CHECK (level IN ('notify', 'sync')),
	secret BLOB NOT NULL,                -- sealed
	authorization BLOB,                  -- sealed
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX webhooks_app ON webhooks (app_id);

CREATE TABLE webhook_events (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	id TEXT NOT NULL UNIQUE,
	app_id TEXT REFERENCES apps (id) ON DELETE SET NULL,
	include TEXT NOT NULL,               -- api:release
	action TEXT NOT NULL,
	payload TEXT NOT NULL,               -- JSON
	created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX webhook_events_app ON webhook_events (app_id, seq);

CREATE TABLE webhook_deliveries (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	id TEXT NOT NULL UNIQUE,
	webhook_id TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
	event_id TEXT NOT NULL REFERENCES webhook_events (id) ON DELETE CASCADE,
	status TEXT NOT NULL CHECK (status IN ('pending', 'retrying', 'failed', 'succeeded')),
	attempts INTEGER NOT NULL DEFAULT 0,
	next_ms INTEGER,
	last_id TEXT, last_status TEXT, last_code INTEGER, last_error TEXT, last_ms INTEGER, last_done_ms INTEGER,
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX webhook_deliveries_webhook ON webhook_deliveries (webhook_id, seq);
CREATE INDEX webhook_deliveries_event ON webhook_deliveries (event_id);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_ms) WHERE next_ms IS NOT NULL;
