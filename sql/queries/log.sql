-- name: log_session_insert
INSERT INTO log_sessions (id, secret_hash, app_id, source, dyno, lines, tail, created_ms)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)

-- name: log_session_by_hash
SELECT id, app_id, source, dyno, lines, tail, created_ms, opened_ms
FROM log_sessions WHERE secret_hash = ?1

-- name: log_session_opened
UPDATE log_sessions SET opened_ms = ?2 WHERE id = ?1 AND opened_ms IS NULL

-- name: log_session_expire
-- ?1 before this one must have been opened as a tail, ?2 before this none is good
DELETE FROM log_sessions WHERE created_ms < ?2 OR (created_ms < ?1 AND (tail = 0 OR opened_ms IS NULL))

-- name: audit_insert
INSERT INTO audit (at_ms, actor_id, actor, app_id, app, action, detail, request_id, peer)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)


-- name: audit_list
-- ?1 only older than this number, ?2 limit
SELECT seq, at_ms, actor_id, actor, app_id, app, action, detail, request_id, peer
FROM audit WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2

-- name: audit_list_app
SELECT seq, at_ms, actor_id, actor, app_id, app, action, detail, request_id, peer
FROM audit WHERE app_id = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3
