-- What an app shows to the world: host names, certificates; and whose it is.
CREATE TABLE sni_endpoints (
	id TEXT PRIMARY KEY,
	app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	name TEXT NOT NULL,
	certificate_chain TEXT NOT NULL,
	private_key BLOB NOT NULL,           -- sealed
	ca_signed INTEGER NOT NULL,          -- whether the host's authorities vouched for it when it came
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL,
	UNIQUE (app_id, name)
) STRICT;

CREATE TABLE domains (                       -- custom ones; <app>.<apps domain> needs no row
	id TEXT PRIMARY KEY,
	app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	hostname TEXT NOT NULL UNIQUE,       -- lower case, A-labels
	sni_endpoint_id TEXT REFERENCES sni_endpoints (id) ON DELETE SET NULL,
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX domains_app ON domains (app_id);
CREATE INDEX domains_sni ON domains (sni_endpoint_id);

CREATE TABLE app_transfers (
	id TEXT PRIMARY KEY,
	app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	owner_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	recipient_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	state TEXT NOT NULL CHECK (state IN ('pending', 'accepted', 'declined')),
	created_ms INTEGER NOT NULL,
	updated_ms INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX app_transfers_pending ON app_transfers (app_id) WHERE state = 'pending';
CREATE INDEX app_transfers_owner ON app_transfers (owner_id);
CREATE INDEX app_transfers_recipient ON app_transfers (recipient_id);
