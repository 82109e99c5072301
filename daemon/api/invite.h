/* invite.h - what adding a collaborator without account needs of invitations. */
#ifndef API_INVITE_H
#define API_INVITE_H

#include "daemon/api/api_int.h"
#include "daemon/store/identity.h"

#define INVITE_SECRET 49				     /* digits and NUL */
char *invitation_url(struct api_req *q, const char *secret); /* owned */

#endif
