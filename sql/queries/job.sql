-- name: job_insert
-- ?1 id, ?2 app, ?3 name, ?4 command, ?5 schedule, ?6 zone, ?7 size, ?8 overlap, ?9 missed, ?10 enabled,
-- ?11 manifest, ?12 next, ?13 now
INSERT INTO jobs (id, app_id, name, command, schedule, timezone, size, overlap, missed, enabled, manifest,
	next_ms, created_ms, updated_ms)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?13)

-- name: job_find
-- ?1 app, ?2 id or name; an id first
SELECT id, app_id, name, command, schedule, timezone, size, overlap, missed, enabled, manifest, next_ms,
	created_ms, updated_ms
FROM jobs WHERE app_id = ?1 AND (id = ?2 OR name = ?2) ORDER BY id = ?2 DESC, created_ms LIMIT 2

-- name: job_list
SELECT id, app_id, name, command, schedule, timezone, size, overlap, missed, enabled, manifest, next_ms,
	created_ms, updated_ms
FROM jobs WHERE app_id = ?1 ORDER BY created_ms, rowid

-- name: job_due
-- ?1 now, ?2 at most
SELECT j.id, j.app_id, j.name, j.command, j.schedule, j.timezone, j.size, j.overlap, j.missed, j.enabled,
	j.manifest, j.next_ms, j.created_ms, j.updated_ms
FROM jobs j JOIN apps a ON a.id = j.app_id
WHERE j.next_ms <= ?1 AND a.state = 'live' ORDER BY j.next_ms LIMIT ?2

-- name: job_next
SELECT min(j.next_ms) FROM jobs j JOIN apps a ON a.id = j.app_id
WHERE j.next_ms IS NOT NULL AND a.state = 'live'

-- name: job_count
SELECT count(*) FROM jobs WHERE app_id = ?1 AND manifest = ?2

-- name: job_update
-- ?1 id, then as job_insert from the name on, without manifest
UPDATE jobs SET name = ?2, command = ?3, schedule = ?4, timezone = ?5, size = ?6, overlap = ?7, missed = ?8,
	enabled = ?9, next_ms = ?10, updated_ms = ?11
WHERE id = ?1

-- name: job_set_next
UPDATE jobs SET next_ms = ?2 WHERE id = ?1

-- name: job_delete
DELETE FROM jobs WHERE id = ?1

-- name: job_manifest
-- of the current release's slug
SELECT s.manifest FROM releases r JOIN slugs s ON s.id = r.slug_id WHERE r.app_id = ?1 AND r.current = 1

-- name: job_manifest_apps
-- whose manifest has, or had, something to say
SELECT a.id FROM apps a WHERE a.state = 'live' AND (
	EXISTS (SELECT 1 FROM releases r JOIN slugs s ON s.id = r.slug_id
		WHERE r.app_id = a.id AND r.current = 1 AND s.manifest IS NOT NULL)
	OR EXISTS (SELECT 1 FROM jobs j WHERE j.app_id = a.id AND j.manifest = 1))

-- name: job_run_insert
-- ?1 id, ?2 job, ?3 dyno, ?4 due, ?5 state, ?6 failure, ?7 ended
INSERT INTO job_runs (id, job_id, dyno, due_ms, state, failure, ended_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)

-- name: job_run_get
SELECT r.id, r.job_id, j.app_id, j.name, r.dyno, r.due_ms, r.state, r.exit_code, r.failure, r.started_ms,
	r.ended_ms, j.command, j.size
FROM job_runs r JOIN jobs j ON j.id = r.job_id WHERE r.id = ?1

-- name: job_run_list
-- ?1 app, ?2 job: NULL = all, ?3 at most; newest first
SELECT r.id, r.job_id, j.app_id, j.name, r.dyno, r.due_ms, r.state, r.exit_code, r.failure, r.started_ms,
	r.ended_ms, j.command, j.size
FROM jobs j JOIN job_runs r ON r.job_id = j.id WHERE j.app_id = ?1 AND (?2 IS NULL OR j.id = ?2)
ORDER BY r.due_ms DESC, r.rowid DESC LIMIT ?3

-- name: job_run_open
-- ?1 job: NULL = all
SELECT r.id, r.job_id, j.app_id, j.name, r.dyno, r.due_ms, r.state, r.exit_code, r.failure, r.started_ms,
	r.ended_ms, j.command, j.size
FROM job_runs r JOIN jobs j ON j.id = r.job_id
WHERE r.state IN ('starting', 'running') AND (?1 IS NULL OR r.job_id = ?1) ORDER BY r.due_ms

-- name: job_run_started
UPDATE job_runs SET state = 'running', started_ms = ?2 WHERE id = ?1 AND state = 'starting'

-- name: job_run_failure
UPDATE job_runs SET failure = ?2 WHERE id = ?1

-- name: job_run_ended
-- ?1 id, ?2 state, ?3 exit code, ?4 failure: NULL = as it is, ?5 now
UPDATE job_runs SET state = ?2, exit_code = ?3, failure = coalesce(?4, failure), ended_ms = ?5
WHERE id = ?1 AND state IN ('starting', 'running')

-- name: job_run_prune
-- ?1 job, ?2 how many stay
DELETE FROM job_runs WHERE job_id = ?1 AND state NOT IN ('starting', 'running') AND rowid NOT IN
	(SELECT rowid FROM job_runs WHERE job_id = ?1 ORDER BY due_ms DESC, rowid DESC LIMIT ?2)
