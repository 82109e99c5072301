-- name: service_insert
-- ?1 id, ?2 kind, ?3 provider, ?4 add-on or NULL = shared, ?5 port, ?6 spec, ?7 now, ?8 highest uid,
-- ?9 highest address. No row back = no uid or address is free.
INSERT INTO services (id, uid, kind, provider, shared, addon_id, address, port, plain_port, spec, created_ms, updated_ms)
SELECT ?1, u.uid, ?2, ?3, ?4 IS NULL, ?4, a.address, ?5, 0, ?6, ?7, ?7
FROM (SELECT min(c.uid) AS uid
	FROM (SELECT 0 AS uid UNION ALL SELECT uid + 1 FROM apps UNION ALL SELECT uid + 1 FROM services) c
	WHERE c.uid NOT IN (SELECT uid FROM apps) AND c.uid NOT IN (SELECT uid FROM services)) u,
	(SELECT min(c.address) AS address
	FROM (SELECT 1 AS address UNION ALL SELECT address + 1 FROM services) c
	WHERE c.address NOT IN (SELECT address FROM services)) a
WHERE u.uid <= ?8 AND a.address <= ?9
RETURNING uid, address

-- name: service_plain_port
UPDATE services SET plain_port = ?2 WHERE id = ?1

-- name: service_set
-- ?2 provider, ?3 port, ?4 spec, ?5 now
UPDATE services SET provider = ?2, port = ?3, spec = ?4, updated_ms = ?5 WHERE id = ?1

-- name: service_unwant
UPDATE services SET wanted = 0, updated_ms = ?2 WHERE id = ?1

-- name: service_delete
DELETE FROM services WHERE id = ?1

-- name: service_get
SELECT id, uid, kind, provider, shared, addon_id, address, port, plain_port, wanted, spec, created_ms, updated_ms
FROM services WHERE id = ?1

-- name: service_of_addon
SELECT id, uid, kind, provider, shared, addon_id, address, port, plain_port, wanted, spec, created_ms, updated_ms
FROM services WHERE addon_id = ?1

-- name: service_shared
-- ?1 kind
SELECT id, uid, kind, provider, shared, addon_id, address, port, plain_port, wanted, spec, created_ms, updated_ms
FROM services WHERE shared AND kind = ?1

-- name: service_list
SELECT id, uid, kind, provider, shared, addon_id, address, port, plain_port, wanted, spec, created_ms, updated_ms
FROM services ORDER BY created_ms, id

-- name: service_ways
-- Of the add-ons that are attached to app ?1: their own services, and their provider's shared one.
SELECT DISTINCT s.address, s.port
FROM attachments t JOIN addons a ON a.id = t.addon_id
JOIN services s ON s.addon_id = a.id OR (s.shared AND s.provider = a.service)
WHERE t.app_id = ?1 AND s.wanted ORDER BY s.address
