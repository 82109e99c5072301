/* login.h - logins that a person approves in a browser: a client asks (POST /auth), shows an
 * address, and waits; who opens the address logs in and approves. Kept in memory: a restart ends
 * them. Any thread. */
#ifndef API_LOGIN_H
#define API_LOGIN_H

#include "daemon/api/api_int.h"

enum login_state { LOGIN_OPEN, LOGIN_APPROVED, LOGIN_DENIED };

struct login_info { /* what the person sees */
	char description[301], peer[64];
	char code[10]; /* "1a2b-3c4d": the client shows the same */
	mono_ms made_ms;
	enum login_state state;
};

struct api_logins *api_logins_new(void);
void api_logins_free(struct api_logins *l);
/* False: no such login, or it has ended. */
bool login_find(struct api *a, const char *secret, struct login_info *out);
/* Who has given the password but not the code yet: a user's id, bound to the browser's visit. */
void login_half(struct api *a, const char *secret, const char *visit, const char *user_id);
bool login_half_of(struct api *a, const char *secret, const char *visit, char user_id[37]);
/* token NULL: denied. The client hears of it at once. False: it was settled already, or has ended.
 */
bool login_settle(struct api *a, const char *secret, const char *token);

/* --- a browser's own session (login_page.c) --- */
/* q->user becomes whose session the browser has; its id stays "" when it has none. */
int login_visitor(struct api_req *q, struct err *err);
/* A session for q->user in this browser, which loads the page again. */
int login_begin_session(struct api_req *q, struct err *err);
/* The two questions, on the page that the request came to: address and password; then the code,
 * with a token about `about` and what the form is to bring back (HTML; NULL). email, wrong (what
 * was wrong with the last answer): NULL = none. */
int login_ask_password(struct api_req *q, int status, const char *email, const char *wrong);
int login_ask_code(struct api_req *q, int status, const char *about, const char *hidden,
		   const char *wrong);

#endif
