/* Backups at URLs which are a permission by themselves: for a while, for curl and for other
 * platforms. */
#include "daemon/api/data_transfers.h"
#include "proto/limits.h"
#include "proto/names.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void permit(char out[96], const char *id, const char *expires)
{
	snprintf(out, 96, "get backup %.36s %.20s", id, expires);
}

/* --- made --- */

struct url_tx {
	struct api_req *q;
	struct store_pgt row;
	char expires[24], signature[65];
};

static int sign_url(struct tx *tx, void *arg, struct err *err)
{
	struct url_tx *t = arg;
	char text[96];

	if (store_pgt_find(tx, t->q->app.id, t->q->params[1], &t->row, err) < 0)
		return -1;
	if (!t->row.file_key || t->row.state != PGT_SUCCEEDED) {
		store_pgt_clear(&t->row);
		return err_set(err, ERR_INVALID_PARAMS,
			       "That transfer has no backup that could be downloaded.");
	}
	permit(text, t->row.id, t->expires);
	secret_sign(tx_key(tx), text, t->signature);
	return 0;
}

/* One port speaks HTTP and TLS, and clients of this URL may insist on TLS; what the settings say of
 * where the platform is counts more. */
static char *blob_url(struct api_req *q, const struct url_tx *t)
{
	AUTO(auto_str)
	char *url =
		api_public_url(q, "/blobs/backups/%s/%s/%s", t->row.id, t->expires, t->signature);

	if (q->d->cfg->public_url[0] || strncmp(url, "http://", 7) != 0)
		return xstrdup(url);
	return xasprintf("https://%s", url + 7);
}

int api_backup_public_url(struct api_req *q, struct err *err)
{
	struct url_tx t = {.q = q};
	wall_ms expires = clock_wall_ms() + LIM_TRANSFER_URL_MS;
	AUTO(auto_str) char *url = NULL;
	char when[PGT_TIME];

	snprintf(t.expires, sizeof t.expires, "%" PRId64, expires);
	if (store_read(q->d->store, sign_url, &t, err) < 0)
		return -1;
	url = blob_url(q, &t);
	pgt_time(expires, when);
	api_audit(q, "pg.backup-url", "b%03d", t.row.num);
	store_pgt_clear(&t.row);
	return api_ok(q, 201, json_pack("{s:s, s:s}", "url", url, "expires_at", when));
}

/* --- checked --- */

static bool good(struct tx *tx, const char *id, const char *expires, const char *signature)
{
	char text[96];

	permit(text, id, expires);
	return name_is_uuid(id) && strlen(expires) <= 20 &&
	       secret_signed(tx_key(tx), text, signature) &&
	       strtoll(expires, NULL, 10) > clock_wall_ms();
}

int api_backup_of_url(struct tx *tx, const char *url, char id[37], bool *is_signed, struct err *err)
{
	static const char mark[] = "/blobs/backups/";
	const char *host = strstr(url, "://"), *path = host ? strchr(host + 3, '/') : NULL, *rest;
	char expires[22] = "", signature[65] = "";
	AUTO(store_pgt_clear) struct store_pgt row = {0};
	struct err e = {0};
	int used = 0;

	if (!path || strncmp(path, mark, sizeof mark - 1) != 0)
		return 0;
	rest = path + sizeof mark - 1;
	if (sscanf(rest, "%36[0-9a-f-]%n", id, &used) != 1 || !name_is_uuid(id) ||
	    store_pgt_get(tx, id, &row, &e) < 0)
		return 0; /* of another platform like this one */
	rest += used;
	*is_signed = *rest != 0;
	if (!*rest)
		return 1;
	used = 0;
	if (sscanf(rest, "/%21[0-9]/%64[0-9a-f]%n", expires, signature, &used) == 2 && used &&
	    !rest[used] && good(tx, id, expires, signature))
		return 1;
	return err_set(err, ERR_INVALID_PARAMS,
		       "The backup's URL has expired: ask for a new one (pg:backups:url).");
}

/* --- fetched --- */

static int by_url(struct tx *tx, void *arg, struct err *err)
{
	struct url_tx *t = arg;
	char **p = t->q->params;

	if (!good(tx, p[0], p[1], p[2]) || store_pgt_get(tx, p[0], &t->row, NULL) < 0)
		return err_not_found(err, "backup");
	if (t->row.file_key && t->row.state == PGT_SUCCEEDED && !t->row.deleted_ms &&
	    t->row.processed_bytes >= 0)
		return store_app_get(tx, t->row.app_id, &t->q->app, err);
	store_pgt_clear(&t->row);
	return err_not_found(err, "backup");
}

struct range {
	uint64_t from, to; /* to: excluded */
	bool part;
};

/* One range of octets (RFC 9110, 14.2); of more, or of what is none, the whole is sent. */
static int read_range(struct api_req *q, uint64_t size, struct range *r, struct err *err)
{
	const char *h = http_header(q->x, "range");
	uint64_t a = 0, b = 0;
	int n = 0;

	*r = (struct range){0, size, false};
	if (!h || strncmp(h, "bytes=", 6) != 0)
		return 0;
	h += 6;
	if (*h == '-' && sscanf(h, "-%19" SCNu64 "%n", &b, &n) == 1 && !h[n]) {
		r->from = b < size ? size - b : 0;
		r->part = b > 0;
	} else if (*h >= '0' && *h <= '9' && sscanf(h, "%19" SCNu64 "-%n", &a, &n) == 1 && n) {
		if (h[n] && (sscanf(h + n, "%19" SCNu64, &b) != 1 ||
			     strspn(h + n, "0123456789") != strlen(h + n)))
			return 0;
		r->from = a;
		r->to = h[n] && b < size ? b + 1 : size;
		r->part = true;
	} else {
		return 0;
	}
	if (r->part && r->from < r->to)
		return 0;
	http_setf(q->x, "Content-Range", "bytes */%" PRIu64, size);
	return err_set(err, ERR_RANGE_INVALID, "The backup has %" PRIu64 " bytes.", size);
}

struct sending {
	struct api_req *q;
	const struct range *r;
};

static void respond(struct sending *s)
{
	if (s->q->answered)
		return;
	s->q->answered = true;
	http_respond(s->q->x, s->r->part ? 206 : 200, "application/octet-stream");
}

static int send_piece(const void *p, size_t n, void *arg)
{
	struct sending *s = arg;

	respond(s); /* only now it is known that there is something to read */
	return http_write(s->q->x, p, n);
}

static void head(struct api_req *q, const struct store_pgt *row, const struct range *r)
{
	http_setf(q->x, "Content-Length", "%" PRIu64, r->to - r->from);
	http_set(q->x, "Accept-Ranges", "bytes");
	http_setf(q->x, "ETag", "\"%.32s\"", row->checksum);
	http_setf(q->x, "Content-Disposition", "attachment; filename=\"%s-b%03d.dump\"",
		  q->app.name, row->num);
	if (r->part)
		http_setf(q->x, "Content-Range", "bytes %" PRIu64 "-%" PRIu64 "/%" PRId64, r->from,
			  r->to - 1, row->processed_bytes);
}

int api_backup_get(struct api_req *q, struct err *err)
{
	struct url_tx t = {.q = q};
	struct range r;
	struct sending s = {q, &r};
	int rc;

	if (store_read(q->d->store, by_url, &t, err) < 0)
		return -1;
	rc = read_range(q, (uint64_t)t.row.processed_bytes, &r, err);
	if (rc == 0)
		head(q, &t.row, &r);
	if (rc == 0 && strcmp(http_method(q->x), "HEAD") != 0)
		rc = pg_backup_read(q->d->transfers, &t.row, r.from, r.to, send_piece, &s, err);
	store_pgt_clear(&t.row);
	if (rc < 0 && q->answered)
		http_abort(q->x); /* not to be taken for the whole */
	if (rc < 0)
		return -1;
	respond(&s);
	http_end(q->x);
	return 0;
}
