-- name: release_insert
-- ?1 id, ?2 app, ?3 version, ?4 slug, ?5 config, ?6 process types, ?7 description, ?8 user, ?9 build,
-- ?10 has command, ?11 output secret, ?12 now, ?13 add-ons
INSERT INTO releases (id, app_id, version, slug_id, config, process_types, description, user_id,
	build_id, status, has_command, output_secret, created_ms, updated_ms, addons)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'pending', ?10, ?11, ?12, ?12, ?13)

-- name: release_get
-- ?2 app: NULL = any
SELECT r.id, r.app_id, r.version, r.slug_id, r.process_types, r.description, r.user_id, u.email,
	r.build_id, r.status, r.phase, r.current, r.has_command, r.command_dyno, r.failure,
	r.output_secret, r.created_ms, r.updated_ms, r.addons
FROM releases r JOIN users u ON u.id = r.user_id WHERE r.id = ?1 AND (?2 IS NULL OR r.app_id = ?2)

-- name: release_by_version
SELECT r.id, r.app_id, r.version, r.slug_id, r.process_types, r.description, r.user_id, u.email,
	r.build_id, r.status, r.phase, r.current, r.has_command, r.command_dyno, r.failure,
	r.output_secret, r.created_ms, r.updated_ms, r.addons
FROM releases r JOIN users u ON u.id = r.user_id WHERE r.app_id = ?1 AND r.version = ?2

-- name: release_current
SELECT r.id, r.app_id, r.version, r.slug_id, r.process_types, r.description, r.user_id, u.email,
	r.build_id, r.status, r.phase, r.current, r.has_command, r.command_dyno, r.failure,
	r.output_secret, r.created_ms, r.updated_ms, r.addons
FROM releases r JOIN users u ON u.id = r.user_id WHERE r.app_id = ?1 AND r.current = 1

-- name: release_newest
SELECT r.id, r.app_id, r.version, r.slug_id, r.process_types, r.description, r.user_id, u.email,
	r.build_id, r.status, r.phase, r.current, r.has_command, r.command_dyno, r.failure,
	r.output_secret, r.created_ms, r.updated_ms, r.addons
FROM releases r JOIN users u ON u.id = r.user_id WHERE r.app_id = ?1 ORDER BY r.version DESC LIMIT 1

-- name: release_base
-- What the next release builds on: pending ones count, failed ones do not.
SELECT r.id, r.app_id, r.version, r.slug_id, r.process_types, r.description, r.user_id, u.email,
	r.build_id, r.status, r.phase, r.current, r.has_command, r.command_dyno, r.failure,
	r.output_secret, r.created_ms, r.updated_ms, r.addons
FROM releases r JOIN users u ON u.id = r.user_id WHERE r.app_id = ?1 AND r.status IN ('pending', 'succeeded') ORDER BY r.version DESC LIMIT 1

-- name: release_list_desc
-- ?1 app, ?2 lowest, ?3 highest version, ?4 limit
SELECT r.id, r.app_id, r.version, r.slug_id, r.process_types, r.description, r.user_id, u.email,
	r.build_id, r.status, r.phase, r.current, r.has_command, r.command_dyno, r.failure,
	r.output_secret, r.created_ms, r.updated_ms, r.addons
FROM releases r JOIN users u ON u.id = r.user_id WHERE r.app_id = ?1 AND r.version BETWEEN ?2 AND ?3 ORDER BY r.version DESC LIMIT ?4

-- name: release_list_asc
SELECT r.id, r.app_id, r.version, r.slug_id, r.process_types, r.description, r.user_id, u.email,
	r.build_id, r.status, r.phase, r.current, r.has_command, r.command_dyno, r.failure,
	r.output_secret, r.created_ms, r.updated_ms, r.addons
FROM releases r JOIN users u ON u.id = r.user_id WHERE r.app_id = ?1 AND r.version BETWEEN ?2 AND ?3 ORDER BY r.version LIMIT ?4

-- name: release_pending
SELECT r.id, r.app_id, r.version, r.slug_id, r.process_types, r.description, r.user_id, u.email,
	r.build_id, r.status, r.phase, r.current, r.has_command, r.command_dyno, r.failure,
	r.output_secret, r.created_ms, r.updated_ms, r.addons
FROM releases r JOIN users u ON u.id = r.user_id WHERE r.status = 'pending' ORDER BY r.app_id, r.version

-- name: release_config
SELECT config FROM releases WHERE id = ?1

-- name: release_base_config
SELECT config, addons FROM releases WHERE app_id = ?1 AND status IN ('pending', 'succeeded')
ORDER BY version DESC LIMIT 1

-- name: release_set_phase
UPDATE releases SET phase = ?2, updated_ms = ?3 WHERE id = ?1

-- name: release_set_command_dyno
UPDATE releases SET command_dyno = ?2, updated_ms = ?3 WHERE id = ?1

-- name: release_fail
-- ?1 id, ?2 status, ?3 failure, ?4 now. A release that serves cannot fail any more.
UPDATE releases SET status = ?2, phase = 'failed', failure = ?3, command_dyno = NULL, updated_ms = ?4
WHERE id = ?1 AND status = 'pending'

-- name: release_uncurrent
UPDATE releases SET current = 0 WHERE app_id = ?1 AND current = 1

-- name: release_make_current
UPDATE releases SET current = 1, status = 'succeeded', phase = 'live', command_dyno = NULL,
	updated_ms = ?2
WHERE id = ?1
