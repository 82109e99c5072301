-- name: review_config_get
SELECT pipeline_id, automatic, destroy_stale, stale_days, wait_for_ci, base_name, max_apps, sleep_minutes, created_ms, updated_ms
FROM review_configs WHERE pipeline_id = ?1

-- name: review_config_set
-- ?1 pipeline, ?2 automatic, ?3 destroy_stale, ?4 stale_days, ?5 wait_for_ci, ?6 base_name, ?7 max_apps, ?8 sleep_minutes, ?9 now
INSERT INTO review_configs (pipeline_id, automatic, destroy_stale, stale_days, wait_for_ci, base_name, max_apps, sleep_minutes,
	created_ms, updated_ms)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)
ON CONFLICT (pipeline_id) DO UPDATE SET automatic = ?2, destroy_stale = ?3, stale_days = ?4, wait_for_ci = ?5, base_name = ?6,
	max_apps = ?7, sleep_minutes = ?8, updated_ms = ?9

-- name: review_config_delete
DELETE FROM review_configs WHERE pipeline_id = ?1

-- name: review_insert
-- ?1 id, ?2 pipeline, ?3 creator, ?4 branch, ?5 fork, ?6 number, ?7 source, ?8 url (sealed), ?9 commit, ?10 wait_for_ci, ?11 environment, ?12 now
INSERT INTO review_apps (id, pipeline_id, creator_id, branch, fork, pr_number, source, source_url, commit_id, wait_for_ci, environment,
	arrived_ms, status, next_ms, active_ms, created_ms, updated_ms, repo)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 'pending', ?12, ?12, ?12, ?12,
	iif(?7 = 'provider', coalesce((SELECT repo FROM connected_repos WHERE pipeline_id = ?2), '?'), ''))

-- name: review_get
SELECT * FROM review_rows WHERE id = ?1

-- name: review_of_app
SELECT id FROM review_apps WHERE app_id = ?1

-- name: review_of_setup
SELECT id FROM review_apps WHERE setup_id = ?1

-- name: review_of_branch
-- those of another repository than the one that is connected stand aside
SELECT id FROM review_rows WHERE pipeline_id = ?1 AND branch = ?2 AND fork = ?3 AND status <> 'deleted' AND NOT foreign_repo
ORDER BY repo LIMIT 1

-- name: review_list
-- ?1 pipeline, ?2 deleted ones too
SELECT * FROM review_rows WHERE pipeline_id = ?1 AND (?2 OR status <> 'deleted') ORDER BY created_ms DESC, id

-- name: review_count
SELECT count(*) FROM review_apps WHERE pipeline_id = ?1 AND status IN ('creating', 'created', 'deleting')

-- name: review_secrets
SELECT environment, source_url FROM review_apps WHERE id = ?1

-- name: review_want
-- ?1 id, ?2 commit (NULL = to be found out), ?3 number (NULL = as it is), ?4 now
UPDATE review_apps SET commit_id = ?2, arrived_ms = ?4, pr_number = coalesce(?3, pr_number), tries = 0, next_ms = ?4, updated_ms = ?4,
	status = CASE WHEN status = 'errored' AND app_id IS NULL THEN 'pending' ELSE status END,
	error_status = NULL, message = NULL
WHERE id = ?1 AND wanted AND (commit_id IS NOT ?2 OR (?3 IS NOT NULL AND pr_number IS NOT ?3))

-- name: review_again
-- ?1 id, ?2 source, ?3 url (sealed), ?4 commit, ?5 number (NULL = as it is), ?6 environment (NULL = as it is), ?7 now
UPDATE review_apps SET source = ?2, source_url = ?3, commit_id = ?4, arrived_ms = ?7, tried_commit = NULL,
	repo = iif(?2 = 'provider', coalesce((SELECT c.repo FROM connected_repos c WHERE c.pipeline_id = review_apps.pipeline_id), '?'), ''),
	pr_number = coalesce(?5, pr_number), environment = coalesce(?6, environment), tries = 0, next_ms = ?7,
	updated_ms = max(updated_ms + 1, ?7), status = CASE status WHEN 'errored' THEN 'pending' ELSE status END,
	error_status = NULL, message = NULL
WHERE id = ?1 AND wanted

-- name: review_end
UPDATE review_apps SET wanted = 0, tries = 0, next_ms = ?2, updated_ms = ?2 WHERE id = ?1 AND wanted

-- name: review_dismiss
UPDATE review_apps SET wanted = 0, dismissed = 1, tries = 0, next_ms = ?2, updated_ms = ?2 WHERE id = ?1 AND wanted

-- name: review_dismissed
SELECT 1 FROM review_apps r JOIN connected_repos USING (pipeline_id, repo)
WHERE pipeline_id = ?1 AND r.pr_number = ?2 AND r.commit_id = ?3 AND r.dismissed LIMIT 1

-- name: review_recall
UPDATE review_apps SET dismissed = 0 WHERE pipeline_id = ?1 AND pr_number = ?2 AND dismissed
	AND repo IS (SELECT c.repo FROM connected_repos c WHERE c.pipeline_id = ?1)

-- name: review_built
-- ?1 app, ?2 commit, ?3 since when it is wanted
SELECT id FROM builds WHERE app_id = ?1 AND version = ?2 AND created_ms >= ?3 AND status = 'succeeded' AND release_id IS NOT NULL
ORDER BY created_ms DESC LIMIT 1

-- name: review_end_stale
UPDATE review_apps SET wanted = 0, dismissed = 1, tries = 0, next_ms = ?1, updated_ms = ?1, message = 'stale'
WHERE wanted AND status IN ('created', 'errored') AND EXISTS (SELECT 1 FROM review_configs c
	WHERE c.pipeline_id = review_apps.pipeline_id AND c.destroy_stale AND review_apps.active_ms < ?1 - c.stale_days * 86400000)

-- name: review_due
-- ?1 now, ?2 most
SELECT * FROM review_rows WHERE next_ms <= ?1 ORDER BY next_ms LIMIT ?2

-- name: review_next
SELECT min(next_ms) FROM review_apps WHERE next_ms > ?1

-- name: review_kick
UPDATE review_apps SET next_ms = ?2, updated_ms = max(updated_ms + 1, ?2) WHERE id = ?1 AND status <> 'deleted'

-- name: review_kick_pipeline
UPDATE review_apps SET next_ms = ?2, updated_ms = max(updated_ms + 1, ?2) WHERE pipeline_id = ?1 AND status = 'pending'

-- name: review_kick_all
UPDATE review_apps SET next_ms = ?1 WHERE status IN ('pending', 'creating', 'deleting') OR (NOT wanted AND status <> 'deleted')
	OR (status = 'created' AND commit_id IS NOT tried_commit)

-- name: review_rest
-- ?1 id, ?2 updated_ms as it was read, ?3 next, ?4 tries
UPDATE review_apps SET next_ms = ?3, tries = ?4 WHERE id = ?1 AND updated_ms = ?2

-- name: review_say
-- ?1 id, ?2 status, ?3 error status, ?4 message, ?5 now
UPDATE review_apps SET status = ?2, error_status = ?3, message = ?4, updated_ms = max(updated_ms + 1, ?5) WHERE id = ?1

-- name: review_found
UPDATE review_apps SET commit_id = ?2, updated_ms = max(updated_ms + 1, ?3) WHERE id = ?1

-- name: review_made
-- ?1 id, ?2 app, ?3 setup, ?4 now
UPDATE review_apps SET app_id = ?2, setup_id = ?3, status = 'creating', error_status = NULL, message = NULL, active_ms = ?4,
	updated_ms = max(updated_ms + 1, ?4)
WHERE id = ?1 AND status = 'pending' AND wanted

-- name: review_tried
-- ?1 id, ?2 commit, ?3 well, ?4 now
UPDATE review_apps SET tried_commit = ?2, deployed_commit = iif(?3, ?2, deployed_commit), active_ms = ?4, updated_ms = max(updated_ms + 1, ?4)
WHERE id = ?1

-- name: review_predestroy
UPDATE review_apps SET predestroyed = 1 WHERE id = ?1 AND NOT predestroyed

-- name: review_expire
DELETE FROM review_apps WHERE status = 'deleted' AND updated_ms < ?1

-- name: review_pushed
SELECT * FROM review_rows WHERE source = 'push' AND wanted AND status <> 'deleted'
