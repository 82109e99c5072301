-- name: source_insert
INSERT INTO sources (id, user_id, app_id, expires_ms, created_ms) VALUES (?1, ?2, ?3, ?4, ?5)

-- name: source_get
-- ?2 now: expired ones are gone
SELECT id, user_id, app_id, size, expires_ms FROM sources WHERE id = ?1 AND expires_ms > ?2

-- name: source_uploaded
UPDATE sources SET size = ?2, expires_ms = ?3 WHERE id = ?1

-- name: source_usage
-- ?1 user, ?2 now, ?3 but this one
SELECT count(*), coalesce(sum(size), 0) FROM sources WHERE user_id = ?1 AND expires_ms > ?2 AND id <> ?3

-- name: source_expire
DELETE FROM sources WHERE expires_ms <= ?1

-- name: source_ids
SELECT id FROM sources ORDER BY id
