#include "launcher/plan.h"

#include <string.h>

enum { FRAME_SPEC = 1, FRAME_PLAN = 2 };

enum key { P_IP = 1, P_GATEWAY, P_DIR, P_RUN, P_ROOT, P_TMPL, P_WORK, P_NUMBERS };

/* One entry for each scalar, so that both directions stay in step. */
#define NUMBERS(X)        \
	X(0, sandbox)     \
	X(1, upper_tmpfs) \
	X(2, has_net)     \
	X(3, app)         \
	X(4, app_uid)     \
	X(5, app_gid)     \
	X(6, owner_uid)   \
	X(7, owner_gid)   \
	X(8, prefix)      \
	X(9, enter)

void launch_plan_clear(struct plan *p)
{
	launch_spec_clear(&p->spec);
	free(p->dir);
	free(p->run);
	free(p->root);
	free(p->tmpl);
	free(p->work);
	*p = (struct plan){0};
}

void launch_plan_encode(struct buf *out, const struct plan *p)
{
	size_t mark;

	launch_spec_encode(out, FRAME_SPEC, &p->spec);
	mark = wire_begin(out, FRAME_PLAN);
	wire_str(out, P_IP, p->ip);
	wire_str(out, P_GATEWAY, p->gateway);
	wire_str(out, P_DIR, p->dir);
	wire_str(out, P_RUN, p->run);
	wire_str(out, P_ROOT, p->root);
	wire_str(out, P_TMPL, p->tmpl);
	wire_str(out, P_WORK, p->work);
#define X(n, member) wire_u64(out, P_NUMBERS + n, (uint64_t)p->member);
	NUMBERS(X)
#undef X
	wire_end(out, mark);
}

static void take_owned(const struct wire_field *f, char **out)
{
	free(*out);
	*out = wire_get_str(f);
}

static void take(const struct wire_field *f, struct plan *p)
{
	char **owned[] = {[P_DIR] = &p->dir,
			  [P_RUN] = &p->run,
			  [P_ROOT] = &p->root,
			  [P_TMPL] = &p->tmpl,
			  [P_WORK] = &p->work};

	switch (f->key) {
	case P_IP:
		wire_copy_str(f, p->ip, sizeof p->ip);
		return;
	case P_GATEWAY:
		wire_copy_str(f, p->gateway, sizeof p->gateway);
		return;
#define X(n, member)                                                \
	case P_NUMBERS + n:                                         \
		p->member = (__typeof__(p->member))wire_get_u64(f); \
		return;
		NUMBERS(X)
#undef X
	default:
		if (f->key < ARRAY_LEN(owned) && owned[f->key])
			take_owned(f, owned[f->key]);
	}
}

int launch_plan_decode(const void *data, size_t n, struct plan *out, struct err *err)
{
	struct wire_frame frame;
	struct wire_field field;
	ssize_t used = wire_parse(data, n, &frame);

	*out = (struct plan){0};
	if (used <= 0 || frame.type != FRAME_SPEC)
		return err_set(err, ERR_BAD_REQUEST, "the plan has no spec");
	if (launch_spec_decode(&frame, &out->spec, err) < 0)
		return -1;
	if (wire_parse((const char *)data + used, n - (size_t)used, &frame) <= 0 ||
	    frame.type != FRAME_PLAN) {
		launch_plan_clear(out);
		return err_set(err, ERR_BAD_REQUEST, "the plan is cut short");
	}
	while (wire_next(&frame, &field) == 1)
		take(&field, out);
	if (!out->dir || !out->run || !out->work || (out->sandbox && (!out->root || !out->tmpl))) {
		launch_plan_clear(out);
		return err_set(err, ERR_BAD_REQUEST, "the plan is incomplete");
	}
	return 0;
}
