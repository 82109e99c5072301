-- name: app_insert
-- ?1 id, ?2 name, ?3 owner, ?4 stack, ?5 now, ?6 highest uid. No row back = no uid is free.
INSERT INTO apps (id, uid, name, owner_id, stack, build_stack, created_ms, updated_ms)
SELECT ?1, f.uid, ?2, ?3, ?4, ?4, ?5, ?5
FROM (SELECT min(c.uid) AS uid
	FROM (SELECT 0 AS uid UNION ALL SELECT uid + 1 FROM apps UNION ALL SELECT uid + 1 FROM services) c
	WHERE c.uid NOT IN (SELECT uid FROM apps) AND c.uid NOT IN (SELECT uid FROM services)) f
WHERE f.uid <= ?6
RETURNING uid

-- name: app_get
SELECT a.id, a.uid, a.name, a.owner_id, u.email, a.stack, a.build_stack, a.maintenance, a.state,
	a.language, a.repo_size, a.slug_size, a.released_ms, a.created_ms, a.updated_ms
FROM apps a JOIN users u ON u.id = a.owner_id WHERE a.id = ?1

-- name: app_by_name
SELECT a.id, a.uid, a.name, a.owner_id, u.email, a.stack, a.build_stack, a.maintenance, a.state,
	a.language, a.repo_size, a.slug_size, a.released_ms, a.created_ms, a.updated_ms
FROM apps a JOIN users u ON u.id = a.owner_id WHERE a.name = ?1

-- name: app_list_visible
-- ?1 user. The owner has a collaborator's row, too.
SELECT a.id, a.uid, a.name, a.owner_id, u.email, a.stack, a.build_stack, a.maintenance, a.state,
	a.language, a.repo_size, a.slug_size, a.released_ms, a.created_ms, a.updated_ms
FROM apps a JOIN users u ON u.id = a.owner_id
JOIN collaborators c ON c.app_id = a.id
WHERE c.user_id = ?1 AND a.state = 'live' ORDER BY a.name

-- name: app_list_live
SELECT a.id, a.uid, a.name, a.owner_id, u.email, a.stack, a.build_stack, a.maintenance, a.state,
	a.language, a.repo_size, a.slug_size, a.released_ms, a.created_ms, a.updated_ms
FROM apps a JOIN users u ON u.id = a.owner_id WHERE a.state = 'live' ORDER BY a.name

-- name: app_list_all
SELECT a.id, a.uid, a.name, a.owner_id, u.email, a.stack, a.build_stack, a.maintenance, a.state,
	a.language, a.repo_size, a.slug_size, a.released_ms, a.created_ms, a.updated_ms
FROM apps a JOIN users u ON u.id = a.owner_id ORDER BY a.name

-- name: app_rename
UPDATE apps SET name = ?2, updated_ms = ?3 WHERE id = ?1

-- name: app_set_maintenance
UPDATE apps SET maintenance = ?2, updated_ms = ?3 WHERE id = ?1

-- name: app_set_build_stack
UPDATE apps SET build_stack = ?2, updated_ms = ?3 WHERE id = ?1

-- name: app_set_language
UPDATE apps SET language = ?2, updated_ms = ?3 WHERE id = ?1

-- name: app_set_sizes
-- ?2 repository, ?3 slug: NULL = as it is
UPDATE apps SET repo_size = coalesce(?2, repo_size), slug_size = coalesce(?3, slug_size) WHERE id = ?1

-- name: app_set_released
-- the slug's stack is the app's from now on
UPDATE apps SET released_ms = ?2, updated_ms = ?2,
	slug_size = coalesce((SELECT size FROM slugs WHERE id = ?3), slug_size),
	stack = coalesce((SELECT stack FROM slugs WHERE id = ?3), stack),
	language = coalesce((SELECT language FROM slugs WHERE id = ?3), language)
WHERE id = ?1

-- name: app_set_destroying
UPDATE apps SET state = 'destroying', updated_ms = ?2 WHERE id = ?1

-- name: app_delete
DELETE FROM apps WHERE id = ?1

-- name: app_access
-- ?1 user, ?2 app: is owner, is admin, permissions
SELECT a.owner_id = ?1, coalesce((SELECT admin FROM users WHERE id = ?1), 0),
	(SELECT permissions FROM collaborators WHERE app_id = a.id AND user_id = ?1)
FROM apps a WHERE a.id = ?2

-- name: app_shared
-- ?1, ?2 users: whether both may do something with the same app
SELECT EXISTS (SELECT 1 FROM collaborators a JOIN collaborators b ON b.app_id = a.app_id
	WHERE a.user_id = ?1 AND b.user_id = ?2)

-- name: app_next_oneoff
-- the number to use is the one before
UPDATE apps SET next_oneoff = CASE WHEN next_oneoff >= 9999 THEN 1000 ELSE next_oneoff + 1 END
WHERE id = ?1
RETURNING CASE WHEN next_oneoff = 1000 THEN 9999 ELSE next_oneoff - 1 END

-- name: app_next_version
UPDATE apps SET next_version = next_version + 1 WHERE id = ?1 RETURNING next_version - 1

-- name: app_deployed
SELECT deployed FROM apps WHERE id = ?1

-- name: app_set_deployed
UPDATE apps SET deployed = 1 WHERE id = ?1

-- name: collab_insert
-- ?1 id, ?2 app, ?3 user, ?4 permissions, ?5 now
INSERT INTO collaborators (id, app_id, user_id, permissions, created_ms, updated_ms)
VALUES (?1, ?2, ?3, ?4, ?5, ?5)

-- name: collab_find
-- ?1 app; ?2 id of the collaborator, id of the user, or email
SELECT c.id, c.app_id, c.user_id, u.email, c.permissions, a.owner_id = c.user_id, c.created_ms,
	c.updated_ms
FROM collaborators c JOIN users u ON u.id = c.user_id JOIN apps a ON a.id = c.app_id
WHERE c.app_id = ?1 AND (c.id = ?2 OR c.user_id = ?2 OR u.email = ?2)

-- name: collab_list
SELECT c.id, c.app_id, c.user_id, u.email, c.permissions, a.owner_id = c.user_id, c.created_ms,
	c.updated_ms
FROM collaborators c JOIN users u ON u.id = c.user_id JOIN apps a ON a.id = c.app_id
WHERE c.app_id = ?1 ORDER BY u.email

-- name: collab_set_permissions
UPDATE collaborators SET permissions = ?2, updated_ms = ?3 WHERE id = ?1

-- name: collab_delete
DELETE FROM collaborators WHERE id = ?1

-- name: buildpack_list
SELECT url, detected FROM buildpacks WHERE app_id = ?1 ORDER BY ordinal

-- name: buildpack_clear
DELETE FROM buildpacks WHERE app_id = ?1

-- name: buildpack_insert
INSERT INTO buildpacks (app_id, ordinal, url, detected) VALUES (?1, ?2, ?3, ?4)
