-- name: formation_list
SELECT id, app_id, type, quantity, size, command, created_ms, updated_ms
FROM formation WHERE app_id = ?1 ORDER BY type

-- name: formation_get
-- ?2 id or type
SELECT id, app_id, type, quantity, size, command, created_ms, updated_ms
FROM formation WHERE app_id = ?1 AND (type = ?2 OR id = ?2)

-- name: formation_upsert
-- ?1 id, ?2 app, ?3 type, ?4 quantity, ?5 size, ?6 command, ?7 now
INSERT INTO formation (id, app_id, type, quantity, size, command, created_ms, updated_ms)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)
ON CONFLICT (app_id, type) DO UPDATE SET command = excluded.command, quantity = excluded.quantity,
	size = excluded.size, updated_ms = excluded.updated_ms
WHERE command <> excluded.command OR quantity <> excluded.quantity OR size <> excluded.size

-- name: formation_delete
DELETE FROM formation WHERE id = ?1

-- name: formation_set
-- ?1 app, ?2 type, ?3 quantity, ?4 size: NULL = as it is
UPDATE formation SET quantity = coalesce(?3, quantity), size = coalesce(?4, size), updated_ms = ?5
WHERE app_id = ?1 AND type = ?2

-- name: crash_get
SELECT name, count, restart_ms FROM crashes WHERE app_id = ?1 AND name = ?2

-- name: crash_list
SELECT name, count, restart_ms FROM crashes WHERE app_id = ?1 ORDER BY name

-- name: crash_set
INSERT INTO crashes (app_id, name, count, restart_ms) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (app_id, name) DO UPDATE SET count = excluded.count, restart_ms = excluded.restart_ms

-- name: crash_clear
-- ?2 name: NULL = all of the app
DELETE FROM crashes WHERE app_id = ?1 AND (?2 IS NULL OR name = ?2)
