-- Uploads: sources to be built, slugs made elsewhere. Answers of POSTs, for clients that repeat them.
CREATE TABLE sources (
	id TEXT PRIMARY KEY,
	user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	app_id TEXT REFERENCES apps (id) ON DELETE CASCADE,
	size INTEGER,                        -- NULL = nothing uploaded yet
	expires_ms INTEGER NOT NULL,
	created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX sources_user ON sources (user_id);

ALTER TABLE slugs ADD COLUMN state TEXT NOT NULL DEFAULT 'ready' CHECK (state IN ('waiting', 'ready')); -- waiting for its blob
