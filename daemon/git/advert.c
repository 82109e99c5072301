/* Discovery before a push: refs in byte order, HEAD left out, tags not peeled
 * (gitprotocol-pack(5)). */
#include "daemon/git/git_int.h"

#include <stdio.h>
#include <string.h>

#define CAPS                                                                               \
	"report-status report-status-v2 delete-refs side-band-64k quiet atomic ofs-delta " \
	"object-format=sha1 agent=paasd/" PAASD_VERSION

struct ref_line {
	char *name; /* owned */
	char id[41];
};

struct ref_list {
	struct ref_line *v; /* owned */
	size_t n, cap;
};

static void list_clear(struct ref_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].name);
	free(l->v);
}
#define list_clear_p list_clear

static int by_name(const void *a, const void *b)
{
	const struct ref_line *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static void add_ref(struct ref_list *l, git_reference *ref)
{
	AUTO(git_reference_free) git_reference *direct = NULL;

	if (git_reference_resolve(&direct, ref) < 0)
		return; /* a symbolic one that leads nowhere */
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 32;
		l->v = xrealloc(l->v, l->cap * sizeof(*l->v));
	}
	struct ref_line *line = &l->v[l->n++];

	line->name = xstrdup(git_reference_name(ref));
	git_oid_tostr(line->id, sizeof(line->id), git_reference_target(direct));
}

static int list_refs(git_repository *r, struct ref_list *l, struct err *err)
{
	git_reference_iterator *it = NULL;
	git_reference *ref;
	int rc;

	if (git_reference_iterator_new(&it, r) < 0)
		return git_err(err, "cannot list refs");
	while ((rc = git_reference_next(&ref, it)) == 0) {
		add_ref(l, ref);
		git_reference_free(ref);
	}
	git_reference_iterator_free(it);
	if (rc != GIT_ITEROVER)
		return git_err(err, "cannot list refs");
	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), by_name);
	return 0;
}

static void add_line(struct buf *out, const char *id, const char *name, bool first)
{
	size_t start = out->len;

	buf_add(out, "0000", 4);
	buf_addf(out, "%s %s", id, name);
	if (first)
		buf_add(out, "\0" CAPS, sizeof("\0" CAPS) - 1);
	buf_addc(out, '\n');
	pkt_head(out->data + start, out->len - start);
}

static int advertisement(const char *repo, struct buf *out, struct err *err)
{
	AUTO(git_repository_free) git_repository *r = NULL;
	AUTO(list_clear) struct ref_list l = {0};

	if (git_repo_open(repo, NULL, &r, err) < 0 || list_refs(r, &l, err) < 0)
		return -1;
	pkt_addf(out, "# service=git-receive-pack\n");
	pkt_flush(out);
	if (l.n == 0)
		add_line(out, GIT_ZERO_ID, "capabilities^{}", true);
	for (size_t i = 0; i < l.n; i++)
		add_line(out, l.v[i].id, l.v[i].name, i == 0);
	pkt_flush(out);
	return 0;
}

void git_advertise_push(struct git_req *rq)
{
	AUTO(buf_clear) struct buf out = {0};
	struct err err = {0};

	if (advertisement(rq->repo, &out, &err) < 0) {
		git_reply_error(rq, &err);
		return;
	}
	git_no_cache(rq->x);
	http_reply(rq->x, 200, "application/x-git-receive-pack-advertisement", out.data, out.len);
}
