/* tunnel.c - after 101: octets both ways, each end passed on, until both have ended. */
#include "router/worker.h"

#include <assert.h>

static void finish_run(struct rt_conn *c)
{
	rt_xchg_end(c);
	c->tunnelled = false;
	rt_conn_linger(c);
}

static void end_if_done(struct rt_conn *c)
{
	struct rt_up *u = c->x.up;

	if (c->out.failed || u->out.failed ||
	    (c->eof && u->eof && !rt_out_pending(&c->out) && !rt_out_pending(&u->out)))
		rt_tunnel_end(c, RT_OK, NULL);
	/* A command that has ended reads no more; its client has what it wrote. */
	else if (c->rdv == RDV_YES && u->eof && !rt_out_pending(&c->out))
		finish_run(c);
}

void rt_tunnel_start(struct rt_conn *c, const char *early, size_t n)
{
	struct rt_xchg *x = &c->x;
	struct rt_up *u = x->up;

	c->log_head = rt_log_head(c);
	c->state = CONN_TUNNEL;
	u->state = UP_TUNNEL;
	/* A deploy does not wait for tunnels, and they do not count against the app's requests: a
	 * chat would reach that limit by being open. */
	rt_wdyno_end(x->dyno);
	rt_xchg_tunnelled(c);
	http1_free(c->parser);
	http1_free(u->parser);
	c->parser = u->parser = NULL;
	rt_xchg_touch(c);
	if (n)
		rt_tunnel_from_app(u, early, n);
	if (c->state == CONN_TUNNEL && c->in.len)
		rt_tunnel_from_client(c, c->in.data, c->in.len);
	buf_clear(&c->in);
	if (c->state != CONN_TUNNEL)
		return;
	if (!rt_out_pending(&u->out))
		rt_conn_resume(c);
	if (c->eof)
		rt_tunnel_client_eof(c);
}

void rt_tunnel_from_client(struct rt_conn *c, const char *p, size_t n)
{
	struct rt_up *u = c->x.up;
	uv_buf_t v = uv_buf_init((char *)(uintptr_t)p, (unsigned)n);

	rt_xchg_touch(c);
	if (rt_out_write(&u->out, &v, 1) < 0)
		rt_tunnel_end(c, RT_OK, NULL);
	else if (rt_out_pending(&u->out))
		rt_conn_pause(c);
}

void rt_tunnel_from_app(struct rt_up *u, const char *p, size_t n)
{
	struct rt_conn *c = u->conn;
	uv_buf_t v = uv_buf_init((char *)(uintptr_t)p, (unsigned)n);

	rt_xchg_touch(c);
	c->x.bytes += n;
	if ((c->rdv == RDV_YES ? rt_rendezvous_write(c, p, n, false)
			       : rt_out_write(&c->out, &v, 1)) < 0)
		rt_tunnel_end(c, RT_OK, NULL);
	else if (rt_out_pending(&c->out))
		rt_up_pause(u);
}

void rt_tunnel_client_eof(struct rt_conn *c)
{
	rt_up_shutdown(c->x.up);
	end_if_done(c);
}

void rt_tunnel_app_eof(struct rt_up *u)
{
	struct rt_conn *c = u->conn;

	if (c->rdv == RDV_YES && rt_rendezvous_write(c, NULL, 0, true) < 0) {
		rt_tunnel_end(c, RT_OK, NULL);
		return;
	}
	rt_out_end(&c->out);
	end_if_done(c);
}

void rt_tunnel_drained(struct rt_conn *c)
{
	struct rt_up *u = c->x.up;

	if (!rt_out_pending(&c->out))
		rt_up_resume(u);
	if (!rt_out_pending(&u->out))
		rt_conn_resume(c);
	end_if_done(c);
}

void rt_tunnel_end(struct rt_conn *c, enum rt_code code, const char *extra)
{
	if (c->state != CONN_TUNNEL)
		return;
	rt_log_request(c, code, extra);
	rt_xchg_end(c);
	c->tunnelled = false;
	rt_conn_close(c);
}
