-- Uploads: sources to be built, slugs made elsewhere. Answers of POSTs, for clients that repeat them.
CREATE TABLE sources (
	id TEXT PRIMARY KEY,
	user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	app_id TEXT REFERENCES apps (id) ON DELETE CASCADE,
	put_hash TEXT NOT NULL UNIQUE,       -- of the secret in put_url
	get_hash TEXT NOT NULL UNIQUE,
	size INTEGER,                        -- NULL = nothing uploaded yet
	expires_ms INTEGER NOT NULL,
	created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX sources_expires ON sources (expires_ms);

ALTER TABLE slugs ADD COLUMN state TEXT NOT NULL DEFAULT 'ready' CHECK (state IN ('waiting', 'ready')); -- waiting for its blob
ALTER TABLE slugs ADD COLUMN blob_secret TEXT; -- capability in blob.url
