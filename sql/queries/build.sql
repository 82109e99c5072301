-- name: build_insert
INSERT INTO builds (id, app_id, user_id, status, source, source_url, ref, version,
	version_description, checksum, buildpacks, stack, output_secret, created_ms, updated_ms)
VALUES (?1, ?2, ?3, 'pending', ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?13)

-- name: build_get
-- ?2 app: NULL = any
SELECT b.id, b.app_id, b.user_id, u.email, b.status, b.source, b.source_url, b.ref, b.version,
	b.version_description, b.checksum, b.buildpacks, b.stack, b.slug_id, b.release_id, b.failure,
	b.output_secret, b.created_ms, b.updated_ms
FROM builds b JOIN users u ON u.id = b.user_id WHERE b.id = ?1 AND (?2 IS NULL OR b.app_id = ?2)

-- name: build_list
SELECT b.id, b.app_id, b.user_id, u.email, b.status, b.source, b.source_url, b.ref, b.version,
	b.version_description, b.checksum, b.buildpacks, b.stack, b.slug_id, b.release_id, b.failure,
	b.output_secret, b.created_ms, b.updated_ms
FROM builds b JOIN users u ON u.id = b.user_id WHERE b.app_id = ?1 ORDER BY b.created_ms DESC, b.rowid DESC LIMIT ?2

-- name: build_pending
SELECT b.id, b.app_id, b.user_id, u.email, b.status, b.source, b.source_url, b.ref, b.version,
	b.version_description, b.checksum, b.buildpacks, b.stack, b.slug_id, b.release_id, b.failure,
	b.output_secret, b.created_ms, b.updated_ms
FROM builds b JOIN users u ON u.id = b.user_id WHERE b.status = 'pending' ORDER BY b.created_ms, b.rowid

-- name: build_set_buildpacks
UPDATE builds SET buildpacks = ?2, updated_ms = ?3 WHERE id = ?1

-- name: build_set_release
UPDATE builds SET release_id = ?2, updated_ms = ?3 WHERE id = ?1

-- name: build_finish
-- ?1 id, ?2 status, ?3 slug, ?4 failure, ?5 now
UPDATE builds SET status = ?2, slug_id = ?3, failure = ?4, updated_ms = ?5
WHERE id = ?1 AND status = 'pending'

-- name: build_unfinish
-- the ref could not be moved after all
UPDATE builds SET status = 'failed', slug_id = NULL, failure = ?2, updated_ms = ?3
WHERE id = ?1 AND release_id IS NULL

-- name: slug_insert
INSERT INTO slugs (id, app_id, commit_id, commit_description, process_types, language, size,
	checksum, stack, state, created_ms, updated_ms, manifest)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, ?12)

-- name: slug_get
-- ?2 app: that made it, or has released it; NULL = any
SELECT id, app_id, commit_id, commit_description, process_types, language, size, checksum, stack,
	created_ms, updated_ms, state, manifest
FROM slugs WHERE id = ?1 AND (?2 IS NULL OR app_id = ?2
	OR EXISTS (SELECT 1 FROM releases r WHERE r.slug_id = slugs.id AND r.app_id = ?2))

-- name: slug_in_use
-- What releases, now or by rollback, or a build that is not released yet may still need.
-- ?1 how many of each app's newest slugs are kept, its own, and of others that it was promoted from; ?2 those that wait for their blob since then stay
SELECT slug_id FROM releases WHERE slug_id IS NOT NULL AND (current = 1 OR status = 'pending')
UNION
SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY app_id ORDER BY created_ms DESC, rowid DESC) AS n
	FROM slugs WHERE state = 'ready') WHERE n <= ?1
UNION
SELECT slug_id FROM (SELECT r.slug_id, row_number() OVER (PARTITION BY r.app_id ORDER BY max(r.version) DESC) AS n
	FROM releases r JOIN slugs s ON s.id = r.slug_id
	WHERE s.app_id <> r.app_id AND r.status = 'succeeded' GROUP BY r.app_id, r.slug_id) WHERE n <= ?1
UNION
SELECT slug_id FROM promotions WHERE status = 'pending'
UNION
SELECT id FROM slugs WHERE state = 'waiting' AND created_ms > ?2

-- name: slug_uploaded
-- ?2 size, ?3 checksum, ?4 now
UPDATE slugs SET state = 'ready', size = ?2, checksum = ?3, updated_ms = ?4 WHERE id = ?1 AND state = 'waiting'

-- name: slug_list
SELECT id FROM slugs ORDER BY created_ms, rowid

-- name: slug_delete
DELETE FROM slugs WHERE id = ?1

-- name: slug_take_over
-- ?1 app that goes: what others have released of its slugs becomes theirs
UPDATE slugs SET app_id = (SELECT r.app_id FROM releases r JOIN apps a ON a.id = r.app_id
		WHERE r.slug_id = slugs.id AND r.app_id <> ?1 ORDER BY a.state = 'live' DESC, r.current DESC, r.created_ms DESC LIMIT 1)
WHERE app_id = ?1 AND EXISTS (SELECT 1 FROM releases r WHERE r.slug_id = slugs.id AND r.app_id <> ?1)
