-- name: addon_grant_add
-- ?1 hash, ?2 add-on, ?3 until
INSERT INTO addon_grants (code_hash, addon_id, expires_ms) VALUES (?1, ?2, ?3)

-- name: addon_grant_sweep
-- ?1 now
DELETE FROM addon_grants WHERE expires_ms <= ?1

-- name: addon_grant_find
-- ?1 hash, ?2 now
SELECT addon_id FROM addon_grants WHERE code_hash = ?1 AND expires_ms > ?2

-- name: addon_grant_use
DELETE FROM addon_grants WHERE code_hash = ?1

-- name: addon_token_add
-- ?1 hash, ?2 add-on, ?3 kind, ?4 until, ?5 now
INSERT INTO addon_tokens (token_hash, addon_id, kind, expires_ms, created_ms) VALUES (?1, ?2, ?3, ?4, ?5)

-- name: addon_token_sweep
-- ?1 now
DELETE FROM addon_tokens WHERE expires_ms <= ?1

-- name: addon_token_trim
-- ?1 add-on, ?2 kind, ?3 how many stay: the newest
DELETE FROM addon_tokens WHERE addon_id = ?1 AND kind = ?2 AND token_hash NOT IN
	(SELECT token_hash FROM addon_tokens WHERE addon_id = ?1 AND kind = ?2 ORDER BY created_ms DESC, rowid DESC LIMIT ?3)

-- name: addon_token_find
-- ?1 hash, ?2 kind, ?3 now
SELECT addon_id FROM addon_tokens WHERE token_hash = ?1 AND kind = ?2 AND (expires_ms IS NULL OR expires_ms > ?3)
