/* sm.h - persisted state machines: a table of states with names and allowed moves. */
#ifndef CORE_SM_H
#define CORE_SM_H

#include <stdint.h>

#define SM_TO(s) (1u << (s))
struct sm_state {
	const char *name;
	uint32_t to; /* SM_TO(a) | SM_TO(b); 0 = final */
};
struct sm {
	const struct sm_state *table;
	const char *what; /* "deploy" */
	char id[37];
	int state;
};
/* Asserts that the move is allowed and logs it at debug. Persisting is the caller's. */
void sm_move(struct sm *m, int to);
#define sm_final(m) ((m)->table[(m)->state].to == 0)
int sm_by_name(const struct sm_state *table, int n, const char *name); /* -1 unknown */

#endif
