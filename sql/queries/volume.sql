-- name: volume_insert
-- ?1 id, ?2 name, ?3 user, ?4 MB, ?5 now
INSERT INTO volumes (id, name, user_id, size_mb, state, created_ms, updated_ms)
VALUES (?1, ?2, ?3, ?4, 'creating', ?5, ?5)

-- name: volume_get
SELECT v.id, v.name, v.user_id, u.email, v.size_mb, v.state, v.created_ms, v.updated_ms,
	m.id, m.app_id, a.name, m.path, m.read_only, m.created_ms
FROM volumes v JOIN users u ON u.id = v.user_id
LEFT JOIN volume_attachments m ON m.volume_id = v.id LEFT JOIN apps a ON a.id = m.app_id
WHERE v.id = ?1

-- name: volume_by_name
SELECT v.id, v.name, v.user_id, u.email, v.size_mb, v.state, v.created_ms, v.updated_ms,
	m.id, m.app_id, a.name, m.path, m.read_only, m.created_ms
FROM volumes v JOIN users u ON u.id = v.user_id
LEFT JOIN volume_attachments m ON m.volume_id = v.id LEFT JOIN apps a ON a.id = m.app_id
WHERE v.name = ?1

-- name: volume_list
-- Of user ?1, and those that apps have that he works on; of app ?2 alone when that is not NULL; all with ?1 NULL.
SELECT v.id, v.name, v.user_id, u.email, v.size_mb, v.state, v.created_ms, v.updated_ms,
	m.id, m.app_id, a.name, m.path, m.read_only, m.created_ms
FROM volumes v JOIN users u ON u.id = v.user_id
LEFT JOIN volume_attachments m ON m.volume_id = v.id LEFT JOIN apps a ON a.id = m.app_id
WHERE (?1 IS NULL OR v.user_id = ?1
		OR m.app_id IN (SELECT app_id FROM collaborators WHERE user_id = ?1))
	AND (?2 IS NULL OR m.app_id = ?2)
ORDER BY v.name

-- name: volume_count
SELECT count(*) FROM volumes WHERE user_id = ?1

-- name: user_volumes
SELECT name FROM volumes WHERE user_id = ?1 ORDER BY name LIMIT 6

-- name: volume_give
-- Those of user ?2 that app ?1 has become those of ?3; ?4 now.
UPDATE volumes SET user_id = ?3, updated_ms = ?4
WHERE user_id = ?2 AND id IN (SELECT volume_id FROM volume_attachments WHERE app_id = ?1)

-- name: volume_resize
UPDATE volumes SET size_mb = ?2, updated_ms = ?3 WHERE id = ?1

-- name: volume_state
UPDATE volumes SET state = ?2, updated_ms = ?3 WHERE id = ?1

-- name: volume_delete
DELETE FROM volumes WHERE id = ?1

-- name: volume_attach
INSERT INTO volume_attachments (id, volume_id, app_id, path, read_only, created_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)

-- name: volume_detach
DELETE FROM volume_attachments WHERE volume_id = ?1

-- name: volume_mounts
SELECT m.volume_id, m.path, m.read_only FROM volume_attachments m WHERE m.app_id = ?1 ORDER BY m.path
