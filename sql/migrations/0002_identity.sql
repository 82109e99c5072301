-- Two-factor, sessions of browsers, invitations, SSH keys, feature switches.
ALTER TABLE users ADD COLUMN allow_tracking INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN beta INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN suspended_ms INTEGER;
ALTER TABLE users ADD COLUMN deleted_ms INTEGER; -- history refers to it: the row stays, without the person
ALTER TABLE authorizations ADD COLUMN session_id TEXT; -- made by a browser's login

CREATE TABLE two_factor (                    -- TOTP; RFC 6238
	user_id TEXT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
	secret BLOB NOT NULL,                -- sealed
	confirmed INTEGER NOT NULL DEFAULT 0, -- 0: shown once, not in force yet
	last_step INTEGER NOT NULL DEFAULT 0, -- a code is good once
	created_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE recovery_codes (
	user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	code_hash TEXT NOT NULL,
	used_ms INTEGER,
	PRIMARY KEY (user_id, code_hash)
) STRICT;

CREATE TABLE sessions (                      -- of browsers; the cookie holds the secret
	id TEXT PRIMARY KEY,
	user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	secret_hash TEXT NOT NULL UNIQUE,
	description TEXT NOT NULL,
	expires_ms INTEGER NOT NULL,
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_user ON sessions (user_id);

CREATE TABLE keys (
	id TEXT PRIMARY KEY,
	user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	fingerprint TEXT NOT NULL,
	public_key TEXT NOT NULL,
	comment TEXT NOT NULL,
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL,
	UNIQUE (user_id, fingerprint)
) STRICT;

CREATE TABLE invitations (                   -- an account to be, or a collaborator to be
	id TEXT PRIMARY KEY,
	email TEXT NOT NULL COLLATE NOCASE,
	secret_hash TEXT NOT NULL UNIQUE,
	inviter_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	admin INTEGER NOT NULL DEFAULT 0,
	app_id TEXT REFERENCES apps (id) ON DELETE CASCADE,
	permissions TEXT,
	expires_ms INTEGER NOT NULL,
	created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX invitations_email ON invitations (email);
CREATE INDEX invitations_app ON invitations (app_id);

CREATE TABLE features (                      -- switched away from their default
	owner_id TEXT NOT NULL,              -- an app or a user
	name TEXT NOT NULL,
	enabled INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL,
	PRIMARY KEY (owner_id, name)
) STRICT;
CREATE TRIGGER features_app AFTER DELETE ON apps BEGIN DELETE FROM features WHERE owner_id = OLD.id; END;
CREATE TRIGGER features_user AFTER DELETE ON users BEGIN DELETE FROM features WHERE owner_id = OLD.id; END;

CREATE INDEX audit_at ON audit (at_ms);
CREATE INDEX audit_actor ON audit (actor_id, seq);
