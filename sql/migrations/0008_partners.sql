-- Add-ons of partners, who are spoken to by HTTP: what lets them reach their own add-on, and no other.
ALTER TABLE addons DROP COLUMN callback_hash; -- its URL has no secret: partners come with a token

CREATE TABLE addon_grants (                  -- codes that a partner exchanges for tokens, once
	code_hash TEXT PRIMARY KEY,          -- SHA-256
	addon_id TEXT NOT NULL REFERENCES addons (id) ON DELETE CASCADE,
	expires_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX addon_grants_addon ON addon_grants (addon_id);

CREATE TABLE addon_tokens (
	token_hash TEXT PRIMARY KEY,         -- SHA-256
	addon_id TEXT NOT NULL REFERENCES addons (id) ON DELETE CASCADE,
	kind TEXT NOT NULL CHECK (kind IN ('access', 'refresh')),
	expires_ms INTEGER,                  -- NULL: as long as the add-on
	created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX addon_tokens_addon ON addon_tokens (addon_id);

ALTER TABLE log_drains ADD COLUMN addon_id TEXT REFERENCES addons (id) ON DELETE CASCADE; -- of a partner's add-on
CREATE INDEX log_drains_addon ON log_drains (addon_id) WHERE addon_id IS NOT NULL;
