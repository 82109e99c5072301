/* Reading an archive, which is outside input until its seal has been read: every name, kind and
 * size is checked before the sink hears of it. */
#include "daemon/backup/backup_int.h"
#include "daemon/core/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void reader_free(struct archive *a)
{
	archive_read_free(a);
}
DEFINE_AUTO(struct archive *, reader_free)

struct reader {
	int fd;
	char *block; /* BACKUP_PIECE; owned */
	struct archive *a;
	const struct master_key *key;
	const struct backup_sink *sink;
	const struct backup_watch *watch;
	struct backup_report *out;
	struct backup_sums sums;
	struct buf text; /* of about.json or seal.json */
	bool about, listed, sealed;
	bool key_seen;
	mono_ms told;
};

static int corrupt(struct err *err, const char *what)
{
	return err_set(err, ERR_CORRUPT, "This is not a whole backup: %s", what);
}

static la_ssize_t on_read(struct archive *a, void *arg, const void **p)
{
	struct reader *r = arg;
	ssize_t n;

	*p = r->block;
	do
		n = read(r->fd, r->block, BACKUP_PIECE);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		archive_set_error(a, errno, "%s", strerror(errno));
	return n;
}

static int tick(struct reader *r, struct err *err)
{
	mono_ms now = clock_mono_ms();

	if (!r->watch || now - r->told < 200)
		return 0;
	r->told = now;
	if (r->watch->stop && r->watch->stop(r->watch->arg))
		return err_set(err, ERR_CANCELED, "canceled");
	if (r->watch->tell)
		r->watch->tell(r->watch->arg, "reading", r->sums.bytes);
	return 0;
}

/* --- what may be there --- */

/* Relative, normal, not too long or deep. */
static bool path_is_good(const char *path)
{
	int depth = 0;

	if (!*path || strlen(path) >= BACKUP_PATH)
		return false;
	for (const char *p = path;; depth++) {
		size_t n = strcspn(p, "/");

		if (n == 0 || n > 255 || (n == 1 && p[0] == '.') ||
		    (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		if (!p[n])
			break;
		p += n + 1;
	}
	return depth < BACKUP_DEPTH + 8;
}

static bool has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* Up to and with the second slash: what belongs together. */
static size_t group_of(const char *rel)
{
	const char *a = strchr(rel, '/'), *b = a ? strchr(a + 1, '/') : NULL;

	return b ? (size_t)(b - rel) + 1 : 0;
}

/* Links are in what users made only; other names stay inside of the same slug, folder, repository.
 */
static bool link_is_good(const struct backup_member *m)
{
	static const char *const places[] = {"slugs/", "services/", "volumes/"};
	const char *rel = m->path + strlen(BACKUP_STATE);
	size_t group = group_of(rel);

	if (m->type == 'h')
		return group && has_prefix(m->link, BACKUP_STATE) && path_is_good(m->link) &&
		       strncmp(rel, m->link + strlen(BACKUP_STATE), group) == 0;
	if (m->type != 'l')
		return true;
	if (!*m->link || strlen(m->link) >= BACKUP_PATH || !group)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (has_prefix(rel, places[i]))
			return true;
	return false;
}

static int read_member(struct archive_entry *e, struct backup_member *m, struct err *err)
{
	mode_t kind = archive_entry_filetype(e);
	const char *path = archive_entry_pathname(e), *hard = archive_entry_hardlink(e),
		   *soft = archive_entry_symlink(e);

	*m = (struct backup_member){
		.path = path ? path : "", .link = "", .mtime = archive_entry_mtime(e)};
	if (hard) {
		m->type = 'h';
		m->link = hard;
	} else if (kind == S_IFLNK) {
		m->type = 'l';
		m->link = soft ? soft : "";
	} else {
		m->type = kind == S_IFREG ? 'f' : kind == S_IFDIR ? 'd' : 0;
	}
	m->mode = archive_entry_perm(e) & (m->type == 'd' ? 03777 : 0777);
	if (m->type == 'f')
		m->size = (uint64_t)archive_entry_size(e);
	if (!m->type || !path_is_good(m->path) || !has_prefix(m->path, BACKUP_TOP) ||
	    m->size > INT64_MAX)
		return corrupt(err, "it has a member that no backup has.");
	return 0;
}

/* Folders may end in a slash. */
static void trim(struct archive_entry *e)
{
	const char *path = archive_entry_pathname(e);
	size_t n = path ? strlen(path) : 0;
	AUTO(auto_str) char *copy = NULL;

	if (n < 2 || path[n - 1] != '/' || archive_entry_filetype(e) != S_IFDIR)
		return;
	copy = xstrndup(path, n - 1);
	archive_entry_set_pathname(e, copy);
}

/* --- content --- */

static int read_failed(struct reader *r, struct err *err)
{
	const char *why = archive_error_string(r->a);

	return err_set(err, ERR_CORRUPT, "This is not a whole backup: %.200s",
		       why ? why : "it cannot be read");
}

typedef int piece_fn(struct reader *r, uint64_t at, const void *p, size_t n, struct err *err);

static int each_piece(struct reader *r, const struct backup_member *m, piece_fn *fn, char hex[65],
		      bool *holes, struct err *err)
{
	struct backup_file_sum sum;
	const void *p;
	size_t n;
	la_int64_t at;
	uint64_t end = 0;
	int rc, bad = 0;

	backup_file_begin(&sum);
	while (!bad && (rc = archive_read_data_block(r->a, &p, &n, &at)) == ARCHIVE_OK) {
		if (n && ((uint64_t)at < end || (uint64_t)at + n > m->size)) {
			bad = corrupt(err, "a file is not as large as it says.");
			break;
		}
		backup_file_data(&sum, (uint64_t)at, p, n);
		end = n ? (uint64_t)at + n : end;
		bad = n ? fn(r, (uint64_t)at, p, n, err) : 0;
		if (!bad)
			bad = tick(r, err);
	}
	*holes = backup_file_end(&sum, m->size, hex);
	return bad ? -1 : rc == ARCHIVE_EOF ? 0 : read_failed(r, err);
}

static int to_sink(struct reader *r, uint64_t at, const void *p, size_t n, struct err *err)
{
	return r->sink->data(r->sink->arg, at, p, n, err);
}

static int to_text(struct reader *r, uint64_t at, const void *p, size_t n, struct err *err)
{
	if (at != r->text.len || r->text.len + n > BACKUP_JSON)
		return corrupt(err, "its description is too large.");
	buf_add(&r->text, p, n);
	return 0;
}

/* The name in the line of SHA256SUMS that has the byte at that place. */
static int differs(struct reader *r, uint64_t at, struct err *err)
{
	char line[3 * BACKUP_PATH];
	uint64_t from = at > BACKUP_PATH ? at - BACKUP_PATH : 0;
	ssize_t n = pread(r->sums.lines, line, sizeof line - 1, (off_t)from);
	char *start, *end;

	if (n <= (ssize_t)(at - from))
		return corrupt(err, "files are missing.");
	line[n] = 0;
	start = line + (at - from);
	while (start > line && start[-1] != '\n')
		start--;
	end = strchrnul(start, '\n');
	*end = 0;
	start = strstr(start, "  ");
	return err_set(err, ERR_CORRUPT, "This is not a whole backup: %.200s is damaged.",
		       start ? start + 2 : "a file");
}

/* Against what was read before. */
static int to_list(struct reader *r, uint64_t at, const void *p, size_t n, struct err *err)
{
	char have[4096];

	for (size_t done = 0; done < n;) {
		size_t want = n - done < sizeof have ? n - done : sizeof have, same = 0;
		ssize_t got = pread(r->sums.lines, have, want, (off_t)(at + done));

		if (got < 0)
			return err_errno(err, "a temporary file");
		while (same < (size_t)got && have[same] == ((const char *)p)[done + same])
			same++;
		if (same < want)
			return differs(r, at + done + same, err);
		done += want;
	}
	return 0;
}

/* --- its own members --- */

static void copy_text(const json_t *j, const char *key, char *out, size_t cap)
{
	const char *s = json_string_value(json_object_get(j, key));

	snprintf(out, cap, "%s", s ? s : "");
}

static int take_about(struct reader *r, struct err *err)
{
	AUTO(json_decref)
	json_t *j = json_loadb(buf_str(&r->text), r->text.len, JSON_REJECT_DUPLICATES, NULL);
	const char *id = json_string_value(json_object_get(j, "key"));

	if (!json_is_object(j) || !json_is_integer(json_object_get(j, "format")))
		return corrupt(err, "its description cannot be read.");
	copy_text(j, "product", r->out->product, sizeof r->out->product);
	copy_text(j, "created", r->out->created, sizeof r->out->created);
	r->out->with_key = json_is_true(json_object_get(j, "with_key"));
	r->out->with_logs = json_is_true(json_object_get(j, "with_logs"));
	if (json_integer_value(json_object_get(j, "format")) != BACKUP_FORMAT ||
	    json_integer_value(json_object_get(j, "schema")) > sql_migration_count)
		return err_set(err, ERR_CONFIG,
			       "paasd %.60s made this backup, and this is %s, which does not know "
			       "all that is in it: install that version, or a newer one.",
			       r->out->product, PAASD_VERSION);
	if (r->key && (!id || !secret_signed(r->key, "backup", id)))
		return err_set(err, ERR_FORBIDDEN,
			       "This backup was not made with this key: it takes the master.key of "
			       "the platform that it is of.");
	r->about = true;
	return r->sink->about ? r->sink->about(r->sink->arg, j, err) : 0;
}

static int take_seal(struct reader *r, const char *digest, struct err *err)
{
	AUTO(json_decref)
	json_t *j = json_loadb(buf_str(&r->text), r->text.len, JSON_REJECT_DUPLICATES, NULL);
	AUTO(auto_str) char *text = backup_signed_text(digest);
	const char *said = json_string_value(json_object_get(j, "digest"));
	const char *signature = json_string_value(json_object_get(j, "signature"));
	json_t *notes = json_object_get(j, "notes");

	if (!said || !signature || strcmp(said, digest) != 0)
		return corrupt(err, "its seal is not of what is in it.");
	if (r->key && !secret_signed(r->key, text, signature))
		return err_set(err, ERR_FORBIDDEN,
			       "This backup was changed after it was made: its signature is not "
			       "that of the key.");
	r->out->trusted = r->key != NULL;
	snprintf(r->out->digest, sizeof r->out->digest, "%s", digest);
	snprintf(r->out->signature, sizeof r->out->signature, "%s", signature);
	r->out->notes = json_is_array(notes) ? json_incref(notes) : json_array();
	r->sealed = true;
	return 0;
}

static int own_member(struct reader *r, const struct backup_member *m, struct err *err)
{
	bool sums = strcmp(m->path, BACKUP_SUMS) == 0, seal = strcmp(m->path, BACKUP_SEAL) == 0;
	bool about = strcmp(m->path, BACKUP_ABOUT) == 0, holes;
	char hex[65], digest[65];

	if (m->type != 'f' || r->sealed ||
	    (about  ? r->about
	     : seal ? !r->listed
		    : !sums) ||
	    (sums && (r->listed || !r->about)))
		return corrupt(err, "it has a member that no backup has.");
	buf_reset(&r->text);
	if (backup_sums_flush(&r->sums, err) < 0)
		return -1;
	if (seal)
		backup_sums_digest(&r->sums, digest);
	if (each_piece(r, m, sums ? to_list : to_text, hex, &holes, err) < 0)
		return -1;
	if (seal)
		return take_seal(r, digest, err);
	if (sums) {
		r->listed = true;
		if ((off_t)m->size != lseek(r->sums.lines, 0, SEEK_END))
			return corrupt(err, "files are missing.");
	}
	return backup_sums_add(&r->sums, m, holes, hex, err) < 0 ? -1
	       : about						 ? take_about(r, err)
								 : 0;
}

/* --- members of the state directory --- */

static int state_member(struct reader *r, const struct backup_member *m, struct err *err)
{
	const struct backup_sink *s = r->sink;
	struct backup_member in = *m;
	char hex[65] = "-";
	bool holes = false;

	if (!r->about || r->listed || !link_is_good(m))
		return corrupt(err, "it has a member that no backup has.");
	in.path += strlen(BACKUP_STATE);
	if (in.type == 'h')
		in.link += strlen(BACKUP_STATE);
	if (s->begin && s->begin(s->arg, &in, err) < 0)
		return -1;
	if (m->type == 'f' && each_piece(r, m, to_sink, hex, &holes, err) < 0)
		return -1;
	if (s->end && s->end(s->arg, &in, err) < 0)
		return -1;
	return backup_sums_add(&r->sums, m, holes, hex, err);
}

static int read_all(struct reader *r, struct err *err)
{
	struct archive_entry *e;
	struct backup_member m;
	int rc;

	while ((rc = archive_read_next_header(r->a, &e)) == ARCHIVE_OK || rc == ARCHIVE_WARN) {
		trim(e);
		if (read_member(e, &m, err) < 0)
			return -1;
		rc = has_prefix(m.path, BACKUP_STATE) ? state_member(r, &m, err)
						      : own_member(r, &m, err);
		if (rc < 0 || tick(r, err) < 0)
			return -1;
	}
	if (rc != ARCHIVE_EOF)
		return read_failed(r, err);
	if (!r->sealed)
		return corrupt(err, r->about ? "it was cut off." : "it is another kind of file.");
	r->out->members = r->sums.members;
	r->out->files = r->sums.files;
	r->out->bytes = r->sums.bytes;
	return 0;
}

int backup_read(int fd, const struct master_key *key, const struct backup_sink *sink,
		const struct backup_watch *watch, struct backup_report *out, struct err *err)
{
	AUTO(reader_free) struct archive *a = archive_read_new();
	struct reader r = {.fd = fd, .a = a, .key = key, .sink = sink, .watch = watch, .out = out};
	int rc;

	*out = (struct backup_report){0};
	if (backup_sums_open(&r.sums, err) < 0)
		return -1;
	r.block = xmalloc(BACKUP_PIECE);
	archive_read_support_format_tar(a);
	rc = archive_read_open(a, &r, NULL, on_read, NULL) == ARCHIVE_OK ? read_all(&r, err)
									 : read_failed(&r, err);
	backup_sums_clear(&r.sums);
	buf_clear(&r.text);
	free(r.block);
	return rc;
}

void backup_report_clear(struct backup_report *r)
{
	json_decref(r->notes);
	r->notes = NULL;
}
