-- name: sleep_get
SELECT after_s, asleep, since_ms FROM sleeping_apps WHERE app_id = ?1

-- name: sleep_put
-- ?1 app, ?2 seconds without a request
INSERT INTO sleeping_apps (app_id, after_s) VALUES (?1, ?2)
ON CONFLICT (app_id) DO UPDATE SET after_s = excluded.after_s

-- name: sleep_delete
DELETE FROM sleeping_apps WHERE app_id = ?1

-- name: sleep_mark
-- ?1 app, ?2 asleep, ?3 now
UPDATE sleeping_apps SET asleep = ?2, since_ms = ?3 WHERE app_id = ?1
