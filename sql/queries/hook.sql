-- name: hook_insert
INSERT INTO webhooks (id, app_id, url, include, level, secret, authorization, created_ms, updated_ms)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)

-- name: hook_list
SELECT id, app_id, url, include, level, secret, authorization, created_ms, updated_ms
FROM webhooks WHERE app_id = ?1 ORDER BY created_ms, id

-- name: hook_get
-- ?2 app, or NULL for any
SELECT id, app_id, url, include, level, secret, authorization, created_ms, updated_ms
FROM webhooks WHERE id = ?1 AND (?2 IS NULL OR app_id = ?2)

-- name: hook_update
-- the row is read before, so all is given
UPDATE webhooks SET url = ?2, include = ?3, level = ?4, secret = ?5, authorization = ?6, updated_ms = ?7 WHERE id = ?1

-- name: hook_delete
DELETE FROM webhooks WHERE id = ?1

-- name: hook_wanted
SELECT 1 FROM webhooks w, json_each(w.include) i WHERE w.app_id = ?1 AND i.value = ?2 LIMIT 1

-- name: hook_anywhere
SELECT 1 FROM webhooks w, json_each(w.include) i WHERE w.app_id IS NOT NULL AND i.value IN (?1, ?2) LIMIT 1

-- name: event_insert
INSERT INTO webhook_events (id, app_id, include, action, payload, created_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)

-- name: event_deliver_to
-- ?1 app, ?2 entity
SELECT w.id FROM webhooks w WHERE w.app_id = ?1
AND EXISTS (SELECT 1 FROM json_each(w.include) i WHERE i.value = ?2)

-- name: event_trim
-- ?1 app, ?2 how many stay
DELETE FROM webhook_events WHERE app_id = ?1
AND seq <= (SELECT seq FROM webhook_events WHERE app_id = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)

-- name: event_list
SELECT seq, id, include, action, payload, created_ms FROM webhook_events WHERE app_id = ?1 ORDER BY seq

-- name: event_get
-- ?2 app, or NULL for any
SELECT seq, id, include, action, payload, created_ms FROM webhook_events
WHERE id = ?1 AND (?2 IS NULL OR app_id = ?2)

-- name: delivery_insert
INSERT INTO webhook_deliveries (id, webhook_id, event_id, status, next_ms, created_ms, updated_ms)
VALUES (?1, ?2, ?3, 'pending', ?4, ?4, ?4)

-- name: delivery_list
-- ?1 app, ?2 status or NULL, ?3 limit
SELECT d.seq, d.id, d.webhook_id, d.event_id, e.include, w.level, d.status, d.attempts, d.next_ms, d.last_id,
       d.last_status, d.last_code, d.last_error, d.last_ms, d.last_done_ms, d.created_ms, d.updated_ms
FROM webhooks w JOIN webhook_deliveries d ON d.webhook_id = w.id JOIN webhook_events e ON e.id = d.event_id
WHERE w.app_id = ?1 AND (?2 IS NULL OR d.status = ?2) ORDER BY d.seq DESC LIMIT ?3

-- name: delivery_get
SELECT d.seq, d.id, d.webhook_id, d.event_id, e.include, w.level, d.status, d.attempts, d.next_ms, d.last_id,
       d.last_status, d.last_code, d.last_error, d.last_ms, d.last_done_ms, d.created_ms, d.updated_ms
FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id JOIN webhook_events e ON e.id = d.event_id
WHERE d.id = ?2 AND w.app_id = ?1

-- name: delivery_again
UPDATE webhook_deliveries SET status = 'retrying', next_ms = ?2, updated_ms = ?2 WHERE id = ?1

-- name: hooks_due
SELECT DISTINCT webhook_id FROM webhook_deliveries WHERE next_ms IS NOT NULL AND next_ms <= ?1

-- name: delivery_due
-- ?1 webhook, ?2 now, ?3 after this number, ?4 limit
SELECT d.seq, d.id, d.webhook_id, d.event_id, e.include, w.level, d.status, d.attempts, d.next_ms, d.last_id,
       d.last_status, d.last_code, d.last_error, d.last_ms, d.last_done_ms, d.created_ms, d.updated_ms
FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id JOIN webhook_events e ON e.id = d.event_id
WHERE d.webhook_id = ?1 AND d.next_ms IS NOT NULL AND d.next_ms <= ?2 AND d.seq > ?3 ORDER BY d.seq LIMIT ?4

-- name: delivery_next
SELECT min(next_ms) FROM webhook_deliveries WHERE next_ms IS NOT NULL AND next_ms > ?1

-- name: delivery_tried
UPDATE webhook_deliveries SET status = ?2, attempts = ?3, next_ms = ?4, last_id = ?5, last_status = ?6, last_code = ?7,
       last_error = ?8, last_ms = ?9, last_done_ms = ?10, updated_ms = ?10
WHERE id = ?1

-- name: event_prune
DELETE FROM webhook_events WHERE created_ms < ?1

-- name: hook_prune
DELETE FROM webhooks WHERE app_id IS NULL
AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.webhook_id = webhooks.id AND d.next_ms IS NOT NULL)

-- name: event_prune_lost
-- of apps that are gone, told to nobody
DELETE FROM webhook_events WHERE app_id IS NULL
AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.event_id = webhook_events.id)
