-- name: drain_insert
INSERT INTO log_drains (id, app_id, token, url, created_ms, updated_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?5)

-- name: drain_list
-- ?1 app, or NULL: those of all apps that are not being destroyed
SELECT d.id, d.app_id, d.token, d.url, d.created_ms, d.updated_ms
FROM log_drains d JOIN apps a ON a.id = d.app_id
WHERE (?1 IS NULL AND a.state = 'live') OR d.app_id = ?1 ORDER BY d.created_ms, d.id

-- name: drain_delete
DELETE FROM log_drains WHERE id = ?1
