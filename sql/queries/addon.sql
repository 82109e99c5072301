-- name: addon_insert
-- ?1 id, ?2 name, ?3 app, ?4 service, ?5 plan, ?6 options, ?7 config, ?8 private, ?9 user, ?10 args, ?11 now
INSERT INTO addons (id, name, app_id, app_name, service, plan, state, task, args, task_ms, options, config, private,
	next_ms, user_id, created_ms, updated_ms)
SELECT ?1, ?2, a.id, a.name, ?4, ?5, 'provisioning', 'provision', ?10, ?11, ?6, ?7, ?8, ?11, ?9, ?11, ?11
FROM apps a WHERE a.id = ?3 AND a.state = 'live'

-- name: addon_drop_failed
-- ?1 name: one that failed makes room for another of its name
DELETE FROM addons WHERE name = ?1 AND state = 'failed' AND task = 'none'

-- name: addon_find
-- ?1 id or name
SELECT a.id, a.app_id, a.name, coalesce(p.name, a.app_name), a.service, a.plan, a.state, a.task, a.target_plan, a.options,
	a.provider_id, a.message, a.failure, a.web_url, a.tries, a.next_ms, a.created_ms, a.updated_ms,
	a.args, a.task_ms, a.user_id
FROM addons a LEFT JOIN apps p ON p.id = a.app_id WHERE a.id = ?1 OR a.name = ?1

-- name: addon_list
-- ?1 app: NULL = all
SELECT a.id, a.app_id, a.name, coalesce(p.name, a.app_name), a.service, a.plan, a.state, a.task, a.target_plan, a.options,
	a.provider_id, a.message, a.failure, a.web_url, a.tries, a.next_ms, a.created_ms, a.updated_ms,
	a.args, a.task_ms, a.user_id
FROM addons a LEFT JOIN apps p ON p.id = a.app_id
WHERE (?1 IS NULL OR a.app_id = ?1) AND a.state <> 'failed' ORDER BY a.name

-- name: addon_due
-- ?1 now
SELECT a.id, a.app_id, a.name, coalesce(p.name, a.app_name), a.service, a.plan, a.state, a.task, a.target_plan, a.options,
	a.provider_id, a.message, a.failure, a.web_url, a.tries, a.next_ms, a.created_ms, a.updated_ms,
	a.args, a.task_ms, a.user_id
FROM addons a LEFT JOIN apps p ON p.id = a.app_id WHERE a.next_ms <= ?1 ORDER BY a.next_ms

-- name: addon_next
SELECT min(next_ms) FROM addons WHERE next_ms > ?1

-- name: addon_take_up
-- ?1 now: at start nobody waits any longer than needed
UPDATE addons SET next_ms = ?1 WHERE task <> 'none'

-- name: addon_secrets
SELECT config, private FROM addons WHERE id = ?1

-- name: addon_set_secrets
UPDATE addons SET config = ?2, private = ?3, updated_ms = ?4 WHERE id = ?1

-- name: addon_save
-- ?1 id, ?2 plan, ?3 state, ?4 task, ?5 target plan, ?6 args, ?7 task_ms, ?8 provider's id, ?9 message, ?10 failure,
-- ?11 web url, ?12 tries, ?13 next, ?14 now
UPDATE addons SET plan = ?2, state = ?3, task = ?4, target_plan = ?5, args = ?6, task_ms = ?7, provider_id = ?8,
	message = ?9, failure = ?10, web_url = ?11, tries = ?12, next_ms = ?13, updated_ms = ?14
WHERE id = ?1

-- name: addon_rename
UPDATE addons SET name = ?2, updated_ms = ?3 WHERE id = ?1

-- name: addon_delete
DELETE FROM addons WHERE id = ?1

-- name: addon_forget_app
-- ?1 app, ?2 now: its add-ons go, in the background
UPDATE addons SET state = 'deprovisioning', task = 'deprovision', target_plan = NULL, args = '{}', task_ms = ?2, tries = 0,
	next_ms = ?2, updated_ms = ?2
WHERE app_id = ?1 AND state <> 'deprovisioning'

-- name: attachment_forget_app
DELETE FROM attachments WHERE app_id = ?1

-- name: attachment_insert
-- ?1 id, ?2 add-on, ?3 app, ?4 name, ?5 namespace, ?6 now
INSERT INTO attachments (id, addon_id, app_id, name, namespace, created_ms, updated_ms)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)

-- name: attachment_delete
DELETE FROM attachments WHERE id = ?1

-- name: attachment_list
-- ?1 app, ?2 add-on: NULL = any
SELECT t.id, t.addon_id, t.app_id, t.name, t.namespace, a.name, p.name, a.service, a.app_id, coalesce(o.name, a.app_name),
	t.created_ms, t.updated_ms
FROM attachments t JOIN addons a ON a.id = t.addon_id JOIN apps p ON p.id = t.app_id LEFT JOIN apps o ON o.id = a.app_id
WHERE (?1 IS NULL OR t.app_id = ?1) AND (?2 IS NULL OR t.addon_id = ?2) ORDER BY t.name, p.name

-- name: attachment_get
SELECT t.id, t.addon_id, t.app_id, t.name, t.namespace, a.name, p.name, a.service, a.app_id, coalesce(o.name, a.app_name),
	t.created_ms, t.updated_ms
FROM attachments t JOIN addons a ON a.id = t.addon_id JOIN apps p ON p.id = t.app_id LEFT JOIN apps o ON o.id = a.app_id
WHERE t.id = ?1

-- name: attachment_values
-- ?1 app: the config of each, its credential's where it names one; whether it is known while it is being made
SELECT t.name, a.name, a.service, a.plan, CASE WHEN t.namespace IS NULL THEN a.config ELSE c.config END,
	a.state = 'provisioning'
FROM attachments t JOIN addons a ON a.id = t.addon_id
LEFT JOIN addon_credentials c ON c.addon_id = a.id AND t.namespace = 'credential:' || c.name
WHERE t.app_id = ?1 ORDER BY t.name

-- name: credential_list
SELECT id, addon_id, name, state, created_ms, updated_ms FROM addon_credentials WHERE addon_id = ?1 ORDER BY name

-- name: credential_find
-- ?1 add-on, ?2 name
SELECT id, addon_id, name, state, created_ms, updated_ms FROM addon_credentials WHERE addon_id = ?1 AND name = ?2

-- name: credential_secrets
SELECT config, private FROM addon_credentials WHERE addon_id = ?1 AND name = ?2

-- name: credential_put
-- ?1 id if it is made, ?2 add-on, ?3 name, ?4 config, ?5 private, ?6 state, ?7 now
INSERT INTO addon_credentials (id, addon_id, name, config, private, state, created_ms, updated_ms)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)
ON CONFLICT (addon_id, name) DO UPDATE SET config = ?4, private = ?5, state = ?6, updated_ms = ?7

-- name: credential_delete
DELETE FROM addon_credentials WHERE addon_id = ?1 AND name = ?2

-- name: addon_shared_get
SELECT private FROM addon_shared WHERE service = ?1

-- name: addon_shared_put
INSERT INTO addon_shared (service, private) VALUES (?1, ?2) ON CONFLICT (service) DO UPDATE SET private = ?2
