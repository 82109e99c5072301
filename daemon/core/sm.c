#include "daemon/core/sm.h"
#include "daemon/core/xlog.h"

#include <assert.h>
#include <string.h>

void sm_move(struct sm *m, int to)
{
	assert(m->table[m->state].to & SM_TO(to));
	xlog(XLOG_DEBUG, "sm", "what=%s id=%s from=%s to=%s", m->what, m->id,
	     m->table[m->state].name, m->table[to].name);
	m->state = to;
}

int sm_by_name(const struct sm_state *table, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (table[i].name && strcmp(table[i].name, name) == 0)
			return i;
	return -1;
}
