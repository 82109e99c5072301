-- name: volume_insert
-- ?1 id, ?2 name, ?3 app or NULL, ?4 user, ?5 MB, ?6 now
INSERT INTO volumes (id, name, app_id, user_id, size_mb, state, created_ms, updated_ms)
VALUES (?1, ?2, ?3, ?4, ?5, 'creating', ?6, ?6)

-- name: volume_get
SELECT v.id, v.name, v.app_id, o.name, v.user_id, u.email, v.size_mb, v.state, v.created_ms, v.updated_ms,
	m.id, m.app_id, a.name, m.path, m.read_only, m.created_ms
FROM volumes v JOIN users u ON u.id = v.user_id LEFT JOIN apps o ON o.id = v.app_id
LEFT JOIN volume_attachments m ON m.volume_id = v.id LEFT JOIN apps a ON a.id = m.app_id
WHERE v.id = ?1

-- name: volume_by_name
SELECT v.id, v.name, v.app_id, o.name, v.user_id, u.email, v.size_mb, v.state, v.created_ms, v.updated_ms,
	m.id, m.app_id, a.name, m.path, m.read_only, m.created_ms
FROM volumes v JOIN users u ON u.id = v.user_id LEFT JOIN apps o ON o.id = v.app_id
LEFT JOIN volume_attachments m ON m.volume_id = v.id LEFT JOIN apps a ON a.id = m.app_id
WHERE v.name = ?1

-- name: volume_list
-- Of user ?1, and of the apps that he works on; of app ?2 alone when that is not NULL; all with ?1 NULL.
SELECT v.id, v.name, v.app_id, o.name, v.user_id, u.email, v.size_mb, v.state, v.created_ms, v.updated_ms,
	m.id, m.app_id, a.name, m.path, m.read_only, m.created_ms
FROM volumes v JOIN users u ON u.id = v.user_id LEFT JOIN apps o ON o.id = v.app_id
LEFT JOIN volume_attachments m ON m.volume_id = v.id LEFT JOIN apps a ON a.id = m.app_id
WHERE (?1 IS NULL OR (v.app_id IS NULL AND v.user_id = ?1)
		OR v.app_id IN (SELECT app_id FROM collaborators WHERE user_id = ?1))
	AND (?2 IS NULL OR v.app_id = ?2)
ORDER BY v.name

-- name: volume_count
SELECT count(*) FROM volumes WHERE user_id = ?1

-- name: volume_resize
UPDATE volumes SET size_mb = ?2, updated_ms = ?3 WHERE id = ?1

-- name: volume_state
UPDATE volumes SET state = ?2, updated_ms = ?3 WHERE id = ?1

-- name: volume_of_app
-- ?2 app: it is that app's from now on
UPDATE volumes SET app_id = ?2, updated_ms = ?3 WHERE id = ?1

-- name: volume_delete
DELETE FROM volumes WHERE id = ?1

-- name: volume_attach
INSERT INTO volume_attachments (id, volume_id, app_id, path, read_only, created_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)

-- name: volume_detach
DELETE FROM volume_attachments WHERE volume_id = ?1

-- name: volume_mounts
SELECT m.volume_id, m.path, m.read_only FROM volume_attachments m WHERE m.app_id = ?1 ORDER BY m.path
