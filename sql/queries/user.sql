-- name: user_insert
-- ?1 id, ?2 email, ?3 name, ?4 password hash, ?5 admin, ?6 now
INSERT INTO users (id, email, name, password, admin, created_ms, updated_ms)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)

-- name: user_get
SELECT id, email, name, password, admin, created_ms, updated_ms, last_login_ms, allow_tracking, beta,
	suspended_ms, (SELECT confirmed FROM two_factor t WHERE t.user_id = users.id)
FROM users WHERE id = ?1 AND deleted_ms IS NULL

-- name: user_by_email
SELECT id, email, name, password, admin, created_ms, updated_ms, last_login_ms, allow_tracking, beta,
	suspended_ms, (SELECT confirmed FROM two_factor t WHERE t.user_id = users.id)
FROM users WHERE email = ?1 AND deleted_ms IS NULL

-- name: user_list
SELECT id, email, name, password, admin, created_ms, updated_ms, last_login_ms, allow_tracking, beta,
	suspended_ms, (SELECT confirmed FROM two_factor t WHERE t.user_id = users.id)
FROM users WHERE deleted_ms IS NULL ORDER BY email

-- name: user_count
SELECT count(*) FROM users

-- name: user_set_name
UPDATE users SET name = ?2, updated_ms = ?3 WHERE id = ?1

-- name: user_set_password
UPDATE users SET password = ?2, updated_ms = ?3 WHERE id = ?1

-- name: user_set_flags
-- ?1 id, ?2 allow_tracking, ?3 beta, ?4 now
UPDATE users SET allow_tracking = ?2, beta = ?3, updated_ms = ?4 WHERE id = ?1

-- name: user_set_admin
UPDATE users SET admin = ?2, updated_ms = ?3 WHERE id = ?1

-- name: user_set_suspended
-- ?1 id, ?2 since when or NULL, ?3 now
UPDATE users SET suspended_ms = ?2, updated_ms = ?3 WHERE id = ?1

-- name: user_admins_left
-- administrators besides ?1 who can log in
SELECT count(*) FROM users WHERE admin = 1 AND suspended_ms IS NULL AND deleted_ms IS NULL AND id <> ?1

-- name: user_apps
SELECT name FROM apps WHERE owner_id = ?1 ORDER BY name LIMIT 6

-- name: user_delete
DELETE FROM users WHERE id = ?1

-- name: user_bury
-- ?1 id, ?2 an address that nobody can have, ?3 now
UPDATE users SET email = ?2, name = NULL, password = NULL, admin = 0, suspended_ms = NULL, deleted_ms = ?3,
	updated_ms = ?3 WHERE id = ?1

-- name: user_forget_collaborations
DELETE FROM collaborators WHERE user_id = ?1

-- name: user_forget_invitations
DELETE FROM invitations WHERE inviter_id = ?1

-- name: user_forget_features
DELETE FROM features WHERE owner_id = ?1

-- name: user_forget_keys
DELETE FROM keys WHERE user_id = ?1

-- name: user_touch_login
UPDATE users SET last_login_ms = ?2 WHERE id = ?1

-- name: auth_insert
-- ?1 id, ?2 user, ?3 token id, ?4 token hash, ?5 prefix, ?6 description, ?7 scope, ?8 expires, ?9 now
INSERT INTO authorizations (id, user_id, token_id, token_hash, token_prefix, description, scope,
	expires_ms, created_ms, updated_ms)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)

-- name: auth_by_hash
SELECT a.id, a.user_id, u.email, u.name, a.token_id, a.token_prefix, a.description, a.scope,
	a.expires_ms, a.created_ms, a.updated_ms, s.id
FROM authorizations a JOIN users u ON u.id = a.user_id
	LEFT JOIN sessions s ON s.id = a.session_id WHERE a.token_hash = ?1

-- name: auth_get
SELECT a.id, a.user_id, u.email, u.name, a.token_id, a.token_prefix, a.description, a.scope,
	a.expires_ms, a.created_ms, a.updated_ms, s.id
FROM authorizations a JOIN users u ON u.id = a.user_id
	LEFT JOIN sessions s ON s.id = a.session_id WHERE a.id = ?1 AND a.user_id = ?2

-- name: auth_list
SELECT a.id, a.user_id, u.email, u.name, a.token_id, a.token_prefix, a.description, a.scope,
	a.expires_ms, a.created_ms, a.updated_ms, s.id
FROM authorizations a JOIN users u ON u.id = a.user_id
	LEFT JOIN sessions s ON s.id = a.session_id WHERE a.user_id = ?1
ORDER BY a.created_ms, a.id

-- name: auth_regenerate
-- ?1 id, ?2 user, ?3 token id, ?4 token hash, ?5 prefix, ?6 now
UPDATE authorizations SET token_id = ?3, token_hash = ?4, token_prefix = ?5, updated_ms = ?6
WHERE id = ?1 AND user_id = ?2

-- name: auth_update
-- ?1 id, ?2 user, ?3 description, ?4 now
UPDATE authorizations SET description = ?3, updated_ms = ?4 WHERE id = ?1 AND user_id = ?2

-- name: auth_set_session
UPDATE authorizations SET session_id = ?2 WHERE id = ?1

-- name: auth_delete_others
-- ?1 user, ?2 the one that stays, or ""
DELETE FROM authorizations WHERE user_id = ?1 AND id <> ?2

-- name: auth_delete
DELETE FROM authorizations WHERE id = ?1 AND user_id = ?2

-- name: auth_expire
DELETE FROM authorizations WHERE expires_ms <= ?1
