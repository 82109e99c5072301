-- name: two_factor_get
SELECT secret, confirmed, last_step, created_ms,
	(SELECT count(*) FROM recovery_codes r WHERE r.user_id = ?1 AND r.used_ms IS NULL)
FROM two_factor WHERE user_id = ?1

-- name: two_factor_put
-- ?1 user, ?2 sealed secret, ?3 now
INSERT INTO two_factor (user_id, secret, created_ms) VALUES (?1, ?2, ?3)
ON CONFLICT (user_id) DO UPDATE SET secret = ?2, confirmed = 0, last_step = 0, created_ms = ?3

-- name: two_factor_step
-- a code was good: neither it nor older ones are again. ?1 user, ?2 step
UPDATE two_factor SET confirmed = 1, last_step = ?2 WHERE user_id = ?1 AND last_step < ?2

-- name: two_factor_delete
DELETE FROM two_factor WHERE user_id = ?1

-- name: recovery_insert
INSERT INTO recovery_codes (user_id, code_hash) VALUES (?1, ?2)

-- name: recovery_use
UPDATE recovery_codes SET used_ms = ?3 WHERE user_id = ?1 AND code_hash = ?2 AND used_ms IS NULL

-- name: recovery_delete
DELETE FROM recovery_codes WHERE user_id = ?1

-- name: session_insert
-- ?1 id, ?2 user, ?3 hash of the secret, ?4 description, ?5 expires, ?6 now
INSERT INTO sessions (id, user_id, secret_hash, description, expires_ms, created_ms, updated_ms)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)

-- name: session_by_hash
SELECT id, user_id, description, expires_ms, created_ms, updated_ms
FROM sessions WHERE secret_hash = ?1 AND expires_ms > ?2

-- name: session_get
SELECT id, user_id, description, expires_ms, created_ms, updated_ms
FROM sessions WHERE id = ?1 AND user_id = ?2 AND expires_ms > ?3

-- name: session_list
SELECT id, user_id, description, expires_ms, created_ms, updated_ms
FROM sessions WHERE user_id = ?1 AND expires_ms > ?2 ORDER BY created_ms, id

-- name: session_delete
DELETE FROM sessions WHERE id = ?1 AND user_id = ?2

-- name: session_delete_all
DELETE FROM sessions WHERE user_id = ?1

-- name: session_expire
DELETE FROM sessions WHERE expires_ms <= ?1

-- name: key_insert
-- ?1 id, ?2 user, ?3 fingerprint, ?4 key, ?5 comment, ?6 now
INSERT INTO keys (id, user_id, fingerprint, public_key, comment, created_ms, updated_ms)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)

-- name: key_get
-- ?2 its id or fingerprint
SELECT id, user_id, fingerprint, public_key, comment, created_ms, updated_ms
FROM keys WHERE user_id = ?1 AND (id = ?2 OR fingerprint = ?2)

-- name: key_list
SELECT id, user_id, fingerprint, public_key, comment, created_ms, updated_ms
FROM keys WHERE user_id = ?1 ORDER BY created_ms, id

-- name: key_count
SELECT count(*) FROM keys WHERE user_id = ?1

-- name: key_delete
DELETE FROM keys WHERE user_id = ?1 AND id = ?2

-- name: invitation_insert
-- ?1 id, ?2 email, ?3 hash of the secret, ?4 inviter, ?5 admin, ?6 app, ?7 permissions, ?8 expires, ?9 now
INSERT INTO invitations (id, email, secret_hash, inviter_id, admin, app_id, permissions, expires_ms, created_ms)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)

-- name: invitation_get
-- ?2 app, or NULL: any
SELECT i.id, i.email, i.inviter_id, u.email, i.admin, i.app_id, a.name, i.permissions, i.expires_ms, i.created_ms
FROM invitations i JOIN users u ON u.id = i.inviter_id LEFT JOIN apps a ON a.id = i.app_id
WHERE i.id = ?1 AND (?2 IS NULL OR i.app_id = ?2) AND i.expires_ms > ?3

-- name: invitation_by_hash
SELECT i.id, i.email, i.inviter_id, u.email, i.admin, i.app_id, a.name, i.permissions, i.expires_ms, i.created_ms
FROM invitations i JOIN users u ON u.id = i.inviter_id LEFT JOIN apps a ON a.id = i.app_id
WHERE i.secret_hash = ?1 AND i.expires_ms > ?2

-- name: invitation_list
-- ?1 app, or NULL: all
SELECT i.id, i.email, i.inviter_id, u.email, i.admin, i.app_id, a.name, i.permissions, i.expires_ms, i.created_ms
FROM invitations i JOIN users u ON u.id = i.inviter_id LEFT JOIN apps a ON a.id = i.app_id
WHERE (?1 IS NULL OR i.app_id = ?1) AND i.expires_ms > ?2 ORDER BY i.created_ms, i.id

-- name: invitation_replace
-- earlier ones for the same: ?1 email, ?2 app or NULL
DELETE FROM invitations WHERE email = ?1 AND app_id IS ?2

-- name: invitation_delete
DELETE FROM invitations WHERE id = ?1

-- name: invitation_delete_for
-- one account needs no further invitation to the platform, or to an app: ?1 email, ?2 app or NULL
DELETE FROM invitations WHERE email = ?1 AND (app_id IS NULL OR app_id = ?2)

-- name: invitation_expire
DELETE FROM invitations WHERE expires_ms <= ?1

-- name: feature_list
SELECT name, enabled, updated_ms FROM features WHERE owner_id = ?1

-- name: feature_put
INSERT INTO features (owner_id, name, enabled, updated_ms) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (owner_id, name) DO UPDATE SET enabled = ?3, updated_ms = ?4

-- name: audit_page
-- ?1 from number, ?2 to number, ?3 app's id or name, ?4 actor's id or address, ?5 action or its start,
-- ?6 not before, ?7 limit
SELECT seq, at_ms, actor_id, actor, app_id, app, action, detail, request_id, peer
FROM audit WHERE seq >= ?1 AND seq <= ?2 AND (?3 IS NULL OR app_id = ?3 OR app = ?3)
	AND (?4 IS NULL OR actor_id = ?4 OR actor = ?4 COLLATE NOCASE)
	AND (?5 IS NULL OR action = ?5 OR substr(action, 1, length(?5) + 1) = ?5 || '.')
	AND at_ms >= ?6
ORDER BY seq LIMIT ?7

-- name: audit_page_desc
SELECT seq, at_ms, actor_id, actor, app_id, app, action, detail, request_id, peer
FROM audit WHERE seq >= ?1 AND seq <= ?2 AND (?3 IS NULL OR app_id = ?3 OR app = ?3)
	AND (?4 IS NULL OR actor_id = ?4 OR actor = ?4 COLLATE NOCASE)
	AND (?5 IS NULL OR action = ?5 OR substr(action, 1, length(?5) + 1) = ?5 || '.')
	AND at_ms >= ?6
ORDER BY seq DESC LIMIT ?7

-- name: audit_prune_age
DELETE FROM audit WHERE at_ms < ?1

-- name: audit_prune_count
-- ?1 how many stay
DELETE FROM audit WHERE seq <= (SELECT seq FROM audit ORDER BY seq DESC LIMIT 1 OFFSET ?1)
