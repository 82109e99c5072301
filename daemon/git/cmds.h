/* cmds.h - the commands at the start of a push's body: shallow lines, ref updates, capabilities.
 * Pure; chunking of the input never matters. gitprotocol-pack(5), "Reference Update Request". */
#ifndef GIT_CMDS_H
#define GIT_CMDS_H

#include "daemon/git/pktline.h"

#define GIT_ZERO_ID "0000000000000000000000000000000000000000"

enum push_cap {
	CAP_REPORT =
		1, /* report-status or report-status-v2: the same text while no ref is rewritten */
	CAP_SIDEBAND = 2, /* side-band-64k */
	CAP_QUIET = 4,
	CAP_ATOMIC = 8,
};

struct push_cmd {
	char old_id[41], new_id[41]; /* lower case */
	char *ref;		     /* owned; as sent, no NUL inside */
	const char *why; /* static; NULL = fine so far. Filled by the push, not by the parser */
	bool deploy;	 /* builds; filled by the push */
	bool built;	 /* build() succeeded: after() or undo() is owed */
	void *token;	 /* of the build; filled by the push */
};

struct push_cmds { /* zeroed = ready; push_cmds_clear frees */
	struct pkt_reader rd;
	struct push_cmd *cmd; /* owned */
	size_t n, cap;
	char (*shallow)[41]; /* owned */
	size_t nshallow, shallow_cap;
	unsigned caps;
	bool too_many; /* more than LIM_GIT_COMMANDS: the rest was dropped */
	bool done;
	const char *why; /* static, after CMDS_BAD */
};

enum cmds_state {
	CMDS_MORE,
	CMDS_DONE, /* the flush has come; what follows *used is the pack */
	CMDS_BAD,
};

enum cmds_state push_cmds_feed(struct push_cmds *c, const char *in, size_t n, size_t *used);
void push_cmds_clear(struct push_cmds *c);
/* A pack follows unless every command deletes. */
bool push_cmds_pack_follows(const struct push_cmds *c);
bool push_cmd_deletes(const struct push_cmd *c);
bool push_cmd_creates(const struct push_cmd *c);

/* May a push name this ref? git-check-ref-format(1), below refs/ and with two more parts; deletions
 * may name older mistakes with one part, as in git. */
bool git_ref_ok(const char *ref, bool deletes);
/* refs/heads/main or refs/heads/master */
bool git_ref_deploys(const char *ref);

#endif
