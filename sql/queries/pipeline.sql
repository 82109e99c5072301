-- name: pipeline_insert
-- ?1 id, ?2 name, ?3 owner, ?4 now
INSERT INTO pipelines (id, name, owner_id, created_ms, updated_ms) VALUES (?1, ?2, ?3, ?4, ?4)

-- name: pipeline_find
-- ?1 id or name
SELECT p.id, p.name, p.owner_id, u.email, p.created_ms, p.updated_ms
FROM pipelines p JOIN users u ON u.id = p.owner_id WHERE p.id = ?1 OR p.name = ?1

-- name: pipeline_visible
-- ?1 user; ?2 name, NULL = all
SELECT p.id, p.name, p.owner_id, u.email, p.created_ms, p.updated_ms
FROM pipelines p JOIN users u ON u.id = p.owner_id
WHERE (?2 IS NULL OR p.name = ?2) AND (p.owner_id = ?1 OR (SELECT admin FROM users WHERE id = ?1)
	OR EXISTS (SELECT 1 FROM pipeline_couplings k JOIN collaborators c ON c.app_id = k.app_id
		WHERE k.pipeline_id = p.id AND c.user_id = ?1))
ORDER BY p.name

-- name: pipeline_access
-- ?1 user, ?2 pipeline: owner or admin; permissions on its apps, NULL = on none
SELECT p.owner_id = ?1 OR coalesce((SELECT admin FROM users WHERE id = ?1), 0),
	(SELECT group_concat(c.permissions, ' ') FROM pipeline_couplings k JOIN collaborators c ON c.app_id = k.app_id
		WHERE k.pipeline_id = p.id AND c.user_id = ?1)
FROM pipelines p WHERE p.id = ?2

-- name: pipeline_rename
UPDATE pipelines SET name = ?2, updated_ms = ?3 WHERE id = ?1

-- name: pipeline_set_owner
UPDATE pipelines SET owner_id = ?2, updated_ms = ?3 WHERE id = ?1

-- name: pipeline_delete
DELETE FROM pipelines WHERE id = ?1

-- name: user_pipelines
SELECT name FROM pipelines WHERE owner_id = ?1 ORDER BY name

-- name: coupling_insert
-- ?1 id, ?2 app, ?3 pipeline, ?4 stage, ?5 now
INSERT INTO pipeline_couplings (id, app_id, pipeline_id, stage, created_ms, updated_ms)
VALUES (?1, ?2, ?3, ?4, ?5, ?5)

-- name: coupling_get
SELECT k.id, k.app_id, a.name, k.pipeline_id, p.name, k.stage, k.created_ms, k.updated_ms
FROM pipeline_couplings k JOIN apps a ON a.id = k.app_id JOIN pipelines p ON p.id = k.pipeline_id
WHERE k.id = ?1 AND a.state = 'live'

-- name: coupling_of_app
SELECT k.id, k.app_id, a.name, k.pipeline_id, p.name, k.stage, k.created_ms, k.updated_ms
FROM pipeline_couplings k JOIN apps a ON a.id = k.app_id JOIN pipelines p ON p.id = k.pipeline_id
WHERE k.app_id = ?1 AND a.state = 'live'

-- name: coupling_list
-- ?1 pipeline, ?2 stage (NULL = all)
SELECT k.id, k.app_id, a.name, k.pipeline_id, p.name, k.stage, k.created_ms, k.updated_ms
FROM pipeline_couplings k JOIN apps a ON a.id = k.app_id JOIN pipelines p ON p.id = k.pipeline_id
WHERE k.pipeline_id = ?1 AND (?2 IS NULL OR k.stage = ?2) AND a.state = 'live' ORDER BY a.name

-- name: coupling_visible
-- ?1 user; ?2 pipeline, NULL = all: those of apps that the user may see, and of the user's own pipelines
SELECT k.id, k.app_id, a.name, k.pipeline_id, p.name, k.stage, k.created_ms, k.updated_ms
FROM pipeline_couplings k JOIN apps a ON a.id = k.app_id JOIN pipelines p ON p.id = k.pipeline_id
WHERE (?2 IS NULL OR k.pipeline_id = ?2) AND a.state = 'live'
	AND (p.owner_id = ?1 OR (SELECT admin FROM users WHERE id = ?1)
		OR EXISTS (SELECT 1 FROM collaborators c WHERE c.app_id = k.app_id AND c.user_id = ?1))
ORDER BY p.name, a.name

-- name: coupling_set_stage
UPDATE pipeline_couplings SET stage = ?2, updated_ms = ?3 WHERE id = ?1

-- name: coupling_delete
DELETE FROM pipeline_couplings WHERE id = ?1

-- name: stage_config_get
SELECT config FROM pipeline_config WHERE pipeline_id = ?1 AND stage = ?2

-- name: stage_config_set
-- ?1 pipeline, ?2 stage, ?3 sealed, ?4 now
INSERT INTO pipeline_config (pipeline_id, stage, config, updated_ms) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (pipeline_id, stage) DO UPDATE SET config = ?3, updated_ms = ?4

-- name: promotion_insert
-- ?1 id, ?2 pipeline, ?3 source app, ?4 source release, ?5 slug, ?6 user, ?7 now
INSERT INTO promotions (id, pipeline_id, source_app_id, source_release_id, slug_id, user_id, status, created_ms, updated_ms)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'pending', ?7, ?7)

-- name: promotion_get
SELECT p.id, p.pipeline_id, p.source_app_id, p.source_release_id, p.slug_id, p.user_id, u.email, p.status,
	p.created_ms, p.updated_ms
FROM promotions p JOIN users u ON u.id = p.user_id WHERE p.id = ?1

-- name: promotion_pending
-- those with targets that have no release yet
SELECT p.id, p.pipeline_id, p.source_app_id, p.source_release_id, p.slug_id, p.user_id, u.email, p.status,
	p.created_ms, p.updated_ms
FROM promotions p JOIN users u ON u.id = p.user_id
WHERE p.status = 'pending' AND EXISTS (SELECT 1 FROM promotion_targets t
	WHERE t.promotion_id = p.id AND t.status = 'pending' AND t.release_id IS NULL)
ORDER BY p.created_ms

-- name: promotion_target_insert
-- ?1 id, ?2 promotion, ?3 app, ?4 now
INSERT INTO promotion_targets (id, promotion_id, app_id, status, created_ms, updated_ms)
VALUES (?1, ?2, ?3, 'pending', ?4, ?4)

-- name: promotion_target_list
SELECT id, promotion_id, app_id, release_id, status, error_message, created_ms, updated_ms
FROM promotion_targets WHERE promotion_id = ?1 ORDER BY rowid

-- name: promotion_target_release
-- ?1 id, ?2 release, ?3 now. Once only.
UPDATE promotion_targets SET release_id = ?2, updated_ms = ?3
WHERE id = ?1 AND status = 'pending' AND release_id IS NULL

-- name: promotion_target_fail
-- ?1 id, ?2 why, ?3 now
UPDATE promotion_targets SET status = 'failed', error_message = ?2, updated_ms = ?3
WHERE id = ?1 AND status = 'pending' AND release_id IS NULL

-- name: pipeline_latest_releases
-- ?1 pipeline: the newest release of each app
SELECT r.id, r.app_id, max(r.version)
FROM releases r JOIN pipeline_couplings k ON k.app_id = r.app_id JOIN apps a ON a.id = r.app_id
WHERE k.pipeline_id = ?1 AND a.state = 'live' GROUP BY r.app_id ORDER BY a.name

-- name: pipeline_latest_deployments
-- ?1 pipeline: the newest release of each app that brought other code than the release before it
SELECT r.id, r.app_id, max(r.version)
FROM releases r JOIN pipeline_couplings k ON k.app_id = r.app_id JOIN apps a ON a.id = r.app_id
WHERE k.pipeline_id = ?1 AND a.state = 'live' AND r.slug_id IS NOT NULL
	AND r.slug_id IS NOT (SELECT b.slug_id FROM releases b WHERE b.app_id = r.app_id AND b.version < r.version
		AND b.status <> 'failed' ORDER BY b.version DESC LIMIT 1)
GROUP BY r.app_id ORDER BY a.name

-- name: pipeline_latest_builds
-- ?1 pipeline: the newest build of each app
SELECT id, app_id FROM (SELECT b.id, b.app_id, a.name, row_number() OVER
		(PARTITION BY b.app_id ORDER BY b.created_ms DESC, b.rowid DESC) AS n
	FROM builds b JOIN pipeline_couplings k ON k.app_id = b.app_id JOIN apps a ON a.id = b.app_id
	WHERE k.pipeline_id = ?1 AND a.state = 'live') WHERE n = 1 ORDER BY name
