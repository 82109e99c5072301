-- Which of the provider's repositories a review app is of: a pipeline may be connected to another one later, whose
-- requests have the same numbers and branches.
ALTER TABLE review_apps ADD COLUMN repo TEXT NOT NULL DEFAULT ''; -- of source provider: https://HOST/OWNER/NAME in lower case
UPDATE review_apps SET repo = coalesce((SELECT lower(base_url || '/' || full_name) FROM repos
	WHERE repos.pipeline_id = review_apps.pipeline_id), '?') WHERE source = 'provider';
DROP INDEX review_apps_branch;
CREATE UNIQUE INDEX review_apps_branch ON review_apps (pipeline_id, branch, fork, repo) WHERE status <> 'deleted';

CREATE VIEW connected_repos AS
SELECT pipeline_id, lower(base_url || '/' || full_name) AS repo FROM repos;

DROP VIEW review_rows;
CREATE VIEW review_rows AS
SELECT r.id, r.pipeline_id, r.app_id, r.setup_id, r.creator_id, a.name AS app_name, r.branch, r.pr_number, r.fork, r.source, r.commit_id, r.tried_commit,
	r.deployed_commit, r.status, r.wanted, r.predestroyed, r.wait_for_ci, r.error_status, r.message, r.tries, r.arrived_ms, r.active_ms,
	r.created_ms, r.updated_ms, r.repo,
	r.source = 'provider' AND r.repo IS NOT (SELECT c.repo FROM connected_repos c WHERE c.pipeline_id = r.pipeline_id) AS foreign_repo,
	r.next_ms
FROM review_apps r LEFT JOIN apps a ON a.id = r.app_id;
