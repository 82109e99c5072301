-- name: setup_insert
-- ?1 id, ?2 app, ?3 its name, ?4 user, ?5 environment, ?6 stack, ?7 source, ?8 version, ?9 overrides, ?10 keep, ?11 now
INSERT INTO app_setups (id, app_id, app_name, user_id, status, step, environment, stack, source, version, overrides,
	keep, created_ms, updated_ms)
VALUES (?1, ?2, ?3, ?4, 'pending', 'source', ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11)

-- name: setup_get
SELECT s.id, s.app_id, s.user_id, s.build_id, s.postdeploy_dyno, s.step, s.app_name, u.email, s.status,
	s.environment, s.stack, s.source, s.version, s.manifest, s.failure, s.manifest_errors, s.postdeploy_output,
	s.resolved_success_url, s.postdeploy_exit, s.postdeploy_state, s.keep, s.canceled, s.created_ms, s.updated_ms
FROM app_setups s JOIN users u ON u.id = s.user_id WHERE s.id = ?1

-- name: setup_of_app
SELECT s.id, s.app_id, s.user_id, s.build_id, s.postdeploy_dyno, s.step, s.app_name, u.email, s.status,
	s.environment, s.stack, s.source, s.version, s.manifest, s.failure, s.manifest_errors, s.postdeploy_output,
	s.resolved_success_url, s.postdeploy_exit, s.postdeploy_state, s.keep, s.canceled, s.created_ms, s.updated_ms
FROM app_setups s JOIN users u ON u.id = s.user_id WHERE s.app_id = ?1 ORDER BY s.created_ms DESC LIMIT 1

-- name: setup_pending
SELECT s.id, s.app_id, s.user_id, s.build_id, s.postdeploy_dyno, s.step, s.app_name, u.email, s.status,
	s.environment, s.stack, s.source, s.version, s.manifest, s.failure, s.manifest_errors, s.postdeploy_output,
	s.resolved_success_url, s.postdeploy_exit, s.postdeploy_state, s.keep, s.canceled, s.created_ms, s.updated_ms
FROM app_setups s JOIN users u ON u.id = s.user_id WHERE s.status = 'pending' ORDER BY s.created_ms, s.rowid

-- name: setup_overrides
SELECT overrides FROM app_setups WHERE id = ?1

-- name: setup_step
UPDATE app_setups SET step = ?2, updated_ms = ?3 WHERE id = ?1 AND status = 'pending'

-- name: setup_manifest
-- ?2 text, ?3 version: NULL = as it is, ?4 now
UPDATE app_setups SET manifest = ?2, version = coalesce(?3, version), updated_ms = ?4
WHERE id = ?1 AND status = 'pending'

-- name: setup_build
UPDATE app_setups SET build_id = ?2, updated_ms = ?3 WHERE id = ?1 AND status = 'pending'

-- name: setup_postdeploy
UPDATE app_setups SET postdeploy_state = 'running', postdeploy_dyno = ?2, updated_ms = ?3
WHERE id = ?1 AND status = 'pending' AND postdeploy_state = 'none'

-- name: setup_postdeploy_ended
UPDATE app_setups SET postdeploy_state = 'done', postdeploy_exit = ?2, postdeploy_output = ?3, updated_ms = ?4
WHERE id = ?1 AND status = 'pending'

-- name: setup_cancel
UPDATE app_setups SET canceled = 1, updated_ms = ?2 WHERE id = ?1 AND status = 'pending'

-- name: setup_finish
-- ?2 status, ?3 failure, ?4 manifest errors, ?5 success url, ?6 now. What is of no use any more goes: it holds secrets.
UPDATE app_setups SET status = ?2, failure = ?3, manifest_errors = ?4, resolved_success_url = ?5, step = 'done',
	overrides = x'', updated_ms = ?6
WHERE id = ?1 AND status = 'pending'

-- name: setup_expire
-- ?1 ended before
DELETE FROM app_setups WHERE status <> 'pending' AND updated_ms < ?1 AND app_id NOT IN (SELECT id FROM apps)
