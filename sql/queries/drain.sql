-- name: drain_insert
-- ?1 id, ?2 app, ?3 token, ?4 url, ?5 now, ?6 add-on
INSERT INTO log_drains (id, app_id, token, url, created_ms, updated_ms, addon_id) VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6)

-- name: drain_list
-- ?1 app, or NULL: those of all apps that are not being destroyed
SELECT d.id, d.app_id, d.token, d.url, d.created_ms, d.updated_ms, d.addon_id, n.name
FROM log_drains d JOIN apps a ON a.id = d.app_id LEFT JOIN addons n ON n.id = d.addon_id
WHERE (?1 IS NULL AND a.state = 'live') OR d.app_id = ?1 ORDER BY d.created_ms, d.id

-- name: drain_delete
DELETE FROM log_drains WHERE id = ?1
