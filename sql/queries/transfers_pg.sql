-- name: pgt_insert
-- ?1 id, ?2 app, ?3 add-on, ?4 kind, ?5 and ?6 names, ?7 add-on, ?8 backup or ?9 sealed URL that it comes from,
-- ?10 extensions, ?11 schedule, ?12 user, ?13 now
INSERT INTO transfers (id, app_id, addon_id, num, kind, from_name, to_name, from_addon_id, from_transfer_id, from_url,
	extensions, state, schedule_id, user_id, created_ms, updated_ms)
VALUES (?1, ?2, ?3, (SELECT coalesce(max(num), 0) + 1 FROM transfers WHERE app_id = ?2), ?4, ?5, ?6, ?7, ?8, ?9,
	?10, 'pending', ?11, ?12, ?13, ?13)

-- name: pgt_get
SELECT id, app_id, addon_id, num, kind, from_name, to_name, from_addon_id, from_transfer_id, from_url,
	extensions, state, tries, schedule_id, user_id, file_key, checksum, source_bytes, processed_bytes,
	verified_ms, failure, log, started_ms, finished_ms, canceled_ms, deleted_ms, created_ms, updated_ms
FROM transfers WHERE id = ?1

-- name: pgt_find
-- ?1 app; ?2 id or ?3 number
SELECT id, app_id, addon_id, num, kind, from_name, to_name, from_addon_id, from_transfer_id, from_url,
	extensions, state, tries, schedule_id, user_id, file_key, checksum, source_bytes, processed_bytes,
	verified_ms, failure, log, started_ms, finished_ms, canceled_ms, deleted_ms, created_ms, updated_ms
FROM transfers WHERE app_id = ?1 AND (id = ?2 OR num = ?3) AND deleted_ms IS NULL

-- name: pgt_list
SELECT id, app_id, addon_id, num, kind, from_name, to_name, from_addon_id, from_transfer_id, from_url,
	extensions, state, tries, schedule_id, user_id, file_key, checksum, source_bytes, processed_bytes,
	verified_ms, failure, log, started_ms, finished_ms, canceled_ms, deleted_ms, created_ms, updated_ms
FROM transfers WHERE app_id = ?1 AND deleted_ms IS NULL ORDER BY num

-- name: pgt_open
-- not at their end, the oldest first
SELECT id, app_id, addon_id, num, kind, from_name, to_name, from_addon_id, from_transfer_id, from_url,
	extensions, state, tries, schedule_id, user_id, file_key, checksum, source_bytes, processed_bytes,
	verified_ms, failure, log, started_ms, finished_ms, canceled_ms, deleted_ms, created_ms, updated_ms
FROM transfers WHERE state IN ('pending', 'running', 'verifying') ORDER BY created_ms, id

-- name: pgt_open_count
-- of an add-on
SELECT count(*) FROM transfers
WHERE state IN ('pending', 'running', 'verifying') AND (addon_id = ?1 OR from_addon_id = ?1)

-- name: pgt_open_schedule
SELECT count(*) FROM transfers WHERE state IN ('pending', 'running', 'verifying') AND schedule_id = ?1

-- name: pgt_begin
-- ?1 id, ?2 now
UPDATE transfers SET state = 'running', tries = tries + 1, started_ms = coalesce(started_ms, ?2), updated_ms = ?2
WHERE id = ?1 AND state IN ('pending', 'running', 'verifying')

-- name: pgt_again
-- what a crash cut off waits for its turn again
UPDATE transfers SET state = 'pending', updated_ms = ?1 WHERE state IN ('running', 'verifying')

-- name: pgt_progress
-- ?1 id, ?2 source bytes, ?3 processed bytes, ?4 log, ?5 now
UPDATE transfers SET source_bytes = ?2, processed_bytes = ?3, log = ?4, updated_ms = ?5 WHERE id = ?1

-- name: pgt_key
-- ?1 id, ?2 sealed key
UPDATE transfers SET file_key = ?2 WHERE id = ?1

-- name: pgt_verifying
UPDATE transfers SET state = 'verifying', checksum = ?2, updated_ms = ?3 WHERE id = ?1

-- name: pgt_verified
UPDATE transfers SET verified_ms = ?2, updated_ms = ?2 WHERE id = ?1

-- name: pgt_finish
-- ?1 id, ?2 state, ?3 failure, ?4 now, ?5 canceled at, ?6 whether the file stays
UPDATE transfers SET state = ?2, failure = ?3, finished_ms = ?4, updated_ms = ?4, canceled_ms = ?5,
	file_key = CASE WHEN ?6 THEN file_key END
WHERE id = ?1

-- name: pgt_delete
UPDATE transfers SET deleted_ms = ?2, updated_ms = ?2, file_key = NULL WHERE id = ?1

-- name: pgt_files
-- those that have, or are about to have, a file
SELECT id FROM transfers WHERE deleted_ms IS NULL
	AND (file_key IS NOT NULL OR state IN ('pending', 'running', 'verifying'))

-- name: pgt_surplus
-- ?1 app, ?2 add-on, ?3 1 = of schedules, 0 = made by hand, ?4 how many of the newest stay, ?5 of how many weeks
-- and ?6 months that have one the newest. The first day of the epoch was a Thursday.
WITH b AS (SELECT id, num, (created_ms / 86400000 + 3) / 7 AS week, strftime('%Y-%m', created_ms / 1000, 'unixepoch') AS month
		FROM transfers WHERE app_id = ?1 AND addon_id IS ?2 AND kind = 'backup' AND state = 'succeeded'
		AND deleted_ms IS NULL AND (schedule_id IS NOT NULL) = ?3),
	newest AS (SELECT num FROM b ORDER BY num DESC LIMIT ?4),
	weekly AS (SELECT max(num) AS num FROM b GROUP BY week ORDER BY 1 DESC LIMIT ?5),
	monthly AS (SELECT max(num) AS num FROM b GROUP BY month ORDER BY 1 DESC LIMIT ?6)
SELECT id FROM b WHERE num NOT IN (SELECT num FROM newest UNION SELECT num FROM weekly UNION SELECT num FROM monthly)

-- name: pgt_forget
-- ?1 app, ?2 how many rows without a file stay
DELETE FROM transfers WHERE id IN (SELECT id FROM transfers WHERE app_id = ?1 AND file_key IS NULL
	AND state NOT IN ('pending', 'running', 'verifying') AND num < (SELECT max(num) FROM transfers WHERE app_id = ?1)
	ORDER BY num DESC LIMIT -1 OFFSET ?2)

-- name: pgt_schedule_set
-- ?1 id, ?2 add-on, ?3 name, ?4 hour, ?5 time zone, ?6 next, ?7 now
INSERT INTO transfer_schedules (id, addon_id, name, hour, timezone, next_ms, created_ms, updated_ms)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)
ON CONFLICT (addon_id, name) DO UPDATE SET hour = ?4, timezone = ?5, next_ms = ?6, updated_ms = ?7

-- name: pgt_schedule_list
SELECT id, addon_id, name, hour, timezone, next_ms, created_ms, updated_ms
FROM transfer_schedules WHERE addon_id = ?1 ORDER BY name

-- name: pgt_schedule_due
-- ?1 now: those whose time has come, of databases that are there
SELECT s.id, s.addon_id, s.name, s.hour, s.timezone, s.next_ms, s.created_ms, s.updated_ms
FROM transfer_schedules s JOIN addons a ON a.id = s.addon_id
WHERE s.next_ms <= ?1 AND a.app_id IS NOT NULL AND a.state = 'provisioned' ORDER BY s.next_ms

-- name: pgt_schedule_owner
SELECT app_id FROM addons WHERE id = ?1

-- name: pgt_schedule_next
UPDATE transfer_schedules SET next_ms = ?2 WHERE id = ?1

-- name: pgt_schedule_delete
DELETE FROM transfer_schedules WHERE addon_id = ?1 AND (id = ?2 OR name = ?2)
