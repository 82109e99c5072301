-- name: domain_insert
-- ?1 id, ?2 app, ?3 host name, ?4 sni endpoint, ?5 now
INSERT INTO domains (id, app_id, hostname, sni_endpoint_id, created_ms, updated_ms)
VALUES (?1, ?2, ?3, ?4, ?5, ?5)

-- name: domain_find
-- ?1 app; ?2 id or host name
SELECT d.id, d.app_id, d.hostname, d.sni_endpoint_id, s.name, d.created_ms, d.updated_ms
FROM domains d LEFT JOIN sni_endpoints s ON s.id = d.sni_endpoint_id
WHERE d.app_id = ?1 AND (d.id = ?2 OR d.hostname = ?2)

-- name: domain_list
SELECT d.id, d.app_id, d.hostname, d.sni_endpoint_id, s.name, d.created_ms, d.updated_ms
FROM domains d LEFT JOIN sni_endpoints s ON s.id = d.sni_endpoint_id
WHERE d.app_id = ?1 ORDER BY d.hostname

-- name: domain_count
SELECT count(*) FROM domains WHERE app_id = ?1

-- name: domain_owner
-- the app that has it
SELECT app_id FROM domains WHERE hostname = ?1

-- name: domain_overlap
-- ?1 host name, ?2 app: what an app of somebody else has above or below it, one of the two being a wildcard
SELECT d.hostname FROM domains d JOIN apps a ON a.id = d.app_id
WHERE a.owner_id <> (SELECT owner_id FROM apps WHERE id = ?2) AND d.hostname <> ?1
	AND ((substr(d.hostname, 1, 2) = '*.'
			AND substr(?1, -(length(d.hostname) - 1)) = substr(d.hostname, 2))
		OR (substr(?1, 1, 2) = '*.' AND substr(d.hostname, -(length(?1) - 1)) = substr(?1, 2)))
LIMIT 1

-- name: domain_set_sni
UPDATE domains SET sni_endpoint_id = ?2, updated_ms = ?3 WHERE id = ?1

-- name: domain_delete
DELETE FROM domains WHERE id = ?1

-- name: sni_insert
-- ?1 id, ?2 app, ?3 name, ?4 chain, ?5 sealed key, ?6 ca signed, ?7 now
INSERT INTO sni_endpoints (id, app_id, name, certificate_chain, private_key, ca_signed, created_ms, updated_ms)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)

-- name: sni_find
-- ?1 app; ?2 id or name
SELECT id, app_id, name, certificate_chain, ca_signed, created_ms, updated_ms
FROM sni_endpoints WHERE app_id = ?1 AND (id = ?2 OR name = ?2)

-- name: sni_list
SELECT id, app_id, name, certificate_chain, ca_signed, created_ms, updated_ms
FROM sni_endpoints WHERE app_id = ?1 ORDER BY name

-- name: sni_count
SELECT count(*) FROM sni_endpoints WHERE app_id = ?1

-- name: sni_domains
-- ids and names of the domains that use it
SELECT id, hostname FROM domains WHERE sni_endpoint_id = ?1 ORDER BY hostname

-- name: sni_update
-- ?1 id, ?2 chain, ?3 sealed key, ?4 ca signed, ?5 now
UPDATE sni_endpoints SET certificate_chain = ?2, private_key = ?3, ca_signed = ?4, updated_ms = ?5 WHERE id = ?1

-- name: sni_delete
DELETE FROM sni_endpoints WHERE id = ?1

-- name: sni_of_host
-- ?1 host name, or the wildcard that covers it
SELECT s.certificate_chain, s.private_key FROM domains d JOIN sni_endpoints s ON s.id = d.sni_endpoint_id
JOIN apps a ON a.id = d.app_id WHERE d.hostname = ?1 AND a.state = 'live'

-- name: domain_touch_sni
-- domains that lose their certificate
UPDATE domains SET sni_endpoint_id = NULL, updated_ms = ?2 WHERE sni_endpoint_id = ?1

-- name: transfer_insert
-- ?1 id, ?2 app, ?3 owner, ?4 recipient, ?5 now
INSERT INTO app_transfers (id, app_id, owner_id, recipient_id, state, created_ms, updated_ms)
VALUES (?1, ?2, ?3, ?4, 'pending', ?5, ?5)

-- name: transfer_find
-- ?1 user, of either side; ?2 id, or the app's name: then the newest
SELECT t.id, t.app_id, a.name, t.owner_id, o.email, t.recipient_id, r.email, t.state, t.created_ms, t.updated_ms
FROM app_transfers t JOIN apps a ON a.id = t.app_id
JOIN users o ON o.id = t.owner_id JOIN users r ON r.id = t.recipient_id
WHERE (t.owner_id = ?1 OR t.recipient_id = ?1) AND (t.id = ?2 OR a.name = ?2) AND a.state = 'live'
ORDER BY t.created_ms DESC, t.rowid DESC LIMIT 1

-- name: transfer_list
SELECT t.id, t.app_id, a.name, t.owner_id, o.email, t.recipient_id, r.email, t.state, t.created_ms, t.updated_ms
FROM app_transfers t JOIN apps a ON a.id = t.app_id
JOIN users o ON o.id = t.owner_id JOIN users r ON r.id = t.recipient_id
WHERE (t.owner_id = ?1 OR t.recipient_id = ?1) AND a.state = 'live' ORDER BY t.created_ms

-- name: transfer_settle
-- ?1 id, ?2 state, ?3 now
UPDATE app_transfers SET state = ?2, updated_ms = ?3 WHERE id = ?1 AND state = 'pending'

-- name: transfer_delete
DELETE FROM app_transfers WHERE id = ?1

-- name: app_set_owner
-- ?1 app, ?2 owner so far, ?3 new owner, ?4 now
UPDATE apps SET owner_id = ?3, updated_ms = ?4 WHERE id = ?1 AND owner_id = ?2

-- name: collab_own
-- ?1 id if it is made, ?2 app, ?3 user, ?4 permissions, ?5 now: the owner has a row, too
INSERT INTO collaborators (id, app_id, user_id, permissions, created_ms, updated_ms)
VALUES (?1, ?2, ?3, ?4, ?5, ?5)
ON CONFLICT (app_id, user_id) DO UPDATE SET permissions = ?4, updated_ms = ?5
