-- name: repo_insert
INSERT INTO repos (id, pipeline_id, num, provider, base_url, full_name, token, deploy_key, hook_secret, hook_url, created_ms, updated_ms, ssh_port)
VALUES (?1, ?2, (SELECT coalesce(max(num), 0) + 1 FROM repos), ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?11)

-- name: repo_get
SELECT id, pipeline_id, num, provider, base_url, full_name, token, deploy_key, hook_secret, hook_url, hook_id, failure,
 reconciled_ms, created_ms, updated_ms, ssh_port FROM repos WHERE id = ?1

-- name: repo_of_pipeline
SELECT id, pipeline_id, num, provider, base_url, full_name, token, deploy_key, hook_secret, hook_url, hook_id, failure,
 reconciled_ms, created_ms, updated_ms, ssh_port FROM repos WHERE pipeline_id = ?1

-- name: repo_of_app
SELECT r.id, r.pipeline_id, r.num, r.provider, r.base_url, r.full_name, r.token, r.deploy_key, r.hook_secret, r.hook_url,
 r.hook_id, r.failure, r.reconciled_ms, r.created_ms, r.updated_ms, r.ssh_port
FROM repos r JOIN pipeline_couplings c ON c.pipeline_id = r.pipeline_id WHERE c.app_id = ?1

-- name: repo_all
SELECT id, pipeline_id, num, provider, base_url, full_name, token, deploy_key, hook_secret, hook_url, hook_id, failure,
 reconciled_ms, created_ms, updated_ms, ssh_port FROM repos ORDER BY num

-- name: repo_set_hook
UPDATE repos SET hook_id = ?2, updated_ms = ?3 WHERE id = ?1

-- name: repo_looked
UPDATE repos SET failure = ?2, reconciled_ms = ?3 WHERE id = ?1

-- name: repo_delete
DELETE FROM repos WHERE id = ?1

-- name: repo_delivery_known
SELECT 1 FROM repo_deliveries WHERE repo_id = ?1 AND delivery IN (?2, ?3) LIMIT 1

-- name: repo_delivery_insert
INSERT INTO repo_deliveries (repo_id, delivery, at_ms) VALUES (?1, ?2, ?3)

-- name: repo_deliveries_prune
DELETE FROM repo_deliveries WHERE at_ms < ?1

-- name: repo_look_add
INSERT INTO repo_looks (repo_id, kind, subject, seq, next_ms) VALUES (?1, ?2, ?3, 1, ?4)
ON CONFLICT (repo_id, kind, subject) DO UPDATE SET seq = seq + 1, tries = 0, next_ms = excluded.next_ms

-- name: repo_looks_due
SELECT repo_id, kind, subject, seq, tries FROM repo_looks WHERE repo_id = ?1 AND next_ms <= ?2 ORDER BY next_ms LIMIT ?3

-- name: repo_look_done
DELETE FROM repo_looks WHERE repo_id = ?1 AND kind = ?2 AND subject = ?3 AND seq = ?4

-- name: repo_look_again
UPDATE repo_looks SET tries = tries + 1, next_ms = ?5 WHERE repo_id = ?1 AND kind = ?2 AND subject = ?3 AND seq = ?4

-- name: repo_tell_want
-- what stands at the provider is kept; a comment that is not given stays as it is; the same again is nothing, and a
-- status that differs only in its comment is not told again
INSERT INTO repo_tells (repo_id, key, number, sha, environment, state, url, log_url, text, comment, last, seq, first_ms, next_ms)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 1, ?12, ?12)
ON CONFLICT (repo_id, key) DO UPDATE SET number = excluded.number, sha = excluded.sha, environment = excluded.environment,
 state = excluded.state, url = excluded.url, log_url = excluded.log_url, text = excluded.text,
 comment = coalesce(excluded.comment, comment), last = excluded.last, seq = seq + 1, tries = 0,
 status_seq = iif(status_seq = seq AND (sha, environment, state) = (excluded.sha, excluded.environment, excluded.state)
  AND url IS excluded.url AND log_url IS excluded.log_url AND text IS excluded.text, seq + 1, status_seq),
 first_ms = excluded.first_ms, next_ms = excluded.next_ms, failure = NULL
WHERE (number, sha, environment, state, last) <> (excluded.number, excluded.sha, excluded.environment, excluded.state, excluded.last)
 OR url IS NOT excluded.url OR log_url IS NOT excluded.log_url OR text IS NOT excluded.text
 OR comment IS NOT coalesce(excluded.comment, comment) OR failure IS NOT NULL

-- name: repo_tells_due
SELECT repo_id, key, number, sha, environment, state, url, log_url, text, comment, last, seq, told_seq, status_seq,
 deployment_id, deployment_sha, comment_id, comment_sum, begun, tries, first_ms, next_ms, failure
FROM repo_tells WHERE repo_id = ?1 AND told_seq < seq AND next_ms <= ?2 ORDER BY next_ms LIMIT ?3

-- name: repo_tell_get
SELECT repo_id, key, number, sha, environment, state, url, log_url, text, comment, last, seq, told_seq, status_seq,
 deployment_id, deployment_sha, comment_id, comment_sum, begun, tries, first_ms, next_ms, failure
FROM repo_tells WHERE repo_id = ?1 AND key = ?2

-- name: repo_tell_update
-- ?13 seq that was read: when another is wanted by now its own times stay
UPDATE repo_tells SET deployment_id = ?3, deployment_sha = ?4, comment_id = ?5, comment_sum = ?6, begun = ?7,
 told_seq = ?8, status_seq = ?9,
 tries = CASE WHEN seq = ?13 THEN ?10 ELSE tries END,
 next_ms = CASE WHEN seq = ?13 THEN ?11 ELSE next_ms END,
 failure = CASE WHEN seq = ?13 THEN ?12 ELSE failure END
WHERE repo_id = ?1 AND key = ?2

-- name: repo_tell_drop_last
DELETE FROM repo_tells WHERE repo_id = ?1 AND key = ?2 AND last AND told_seq = seq

-- name: repos_due
-- ?1 now, ?2 time between timed looks
SELECT id, coalesce(reconciled_ms + ?2, 0) AS t FROM repos
UNION ALL SELECT repo_id, min(next_ms) FROM repo_looks GROUP BY repo_id
UNION ALL SELECT repo_id, min(next_ms) FROM repo_tells WHERE told_seq < seq GROUP BY repo_id
ORDER BY 1

-- name: auto_set
INSERT INTO auto_deploys (app_id, branch, wait_for_ci, user_id, created_ms, updated_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?5)
ON CONFLICT (app_id) DO UPDATE SET wait_for_ci = excluded.wait_for_ci, user_id = excluded.user_id, updated_ms = excluded.updated_ms,
 pending_commit = CASE WHEN branch = excluded.branch THEN pending_commit END,
 deployed_commit = CASE WHEN branch = excluded.branch THEN deployed_commit END,
 status = CASE WHEN branch = excluded.branch THEN status ELSE 'waiting' END,
 message = CASE WHEN branch = excluded.branch THEN message END, branch = excluded.branch

-- name: auto_get
SELECT d.app_id, a.name, a.owner_id, d.user_id, d.branch, d.wait_for_ci, d.pending_commit, d.deployed_commit, d.status,
 d.message, d.created_ms, d.updated_ms FROM auto_deploys d JOIN apps a ON a.id = d.app_id WHERE d.app_id = ?1

-- name: auto_delete
DELETE FROM auto_deploys WHERE app_id = ?1

-- name: autos_of_repo
-- ?2 branch, or NULL
SELECT d.app_id, a.name, a.owner_id, d.user_id, d.branch, d.wait_for_ci, d.pending_commit, d.deployed_commit, d.status,
 d.message, d.created_ms, d.updated_ms
FROM auto_deploys d JOIN apps a ON a.id = d.app_id JOIN pipeline_couplings c ON c.app_id = d.app_id
JOIN repos r ON r.pipeline_id = c.pipeline_id
WHERE r.id = ?1 AND a.state = 'live' AND (?2 IS NULL OR d.branch = ?2) ORDER BY a.name

-- name: auto_want
UPDATE auto_deploys SET pending_commit = ?2, pending_since_ms = ?5, status = ?3, message = ?4, updated_ms = ?5 WHERE app_id = ?1

-- name: auto_tried
UPDATE auto_deploys SET deployed_commit = ?2,
 status = CASE WHEN pending_commit IS ?2 THEN ?3 ELSE status END,
 message = CASE WHEN pending_commit IS ?2 THEN ?4 ELSE message END,
 pending_commit = CASE WHEN pending_commit IS ?2 THEN NULL ELSE pending_commit END, updated_ms = ?5
WHERE app_id = ?1

-- name: auto_status
UPDATE auto_deploys SET status = ?3, message = ?4, updated_ms = ?5 WHERE app_id = ?1 AND pending_commit = ?2

-- name: auto_was_built
SELECT 1 FROM builds WHERE app_id = ?1 AND version = ?2 AND status = 'succeeded' AND release_id IS NOT NULL LIMIT 1
