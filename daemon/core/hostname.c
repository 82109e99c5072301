#include "daemon/core/hostname.h"
#include "proto/buf.h"
#include "proto/limits.h"
#include "proto/names.h"

#include <idn2.h>
#include <string.h>

DEFINE_AUTO(char *, idn2_free)

static bool is_ascii(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s >= 0x80)
			return false;
	return true;
}

int hostname_normal(const char *s, char out[254], struct err *err)
{
	bool wild = s[0] == '*' && s[1] == '.';
	AUTO(idn2_free) char *ascii = NULL;
	AUTO(auto_str) char *whole = NULL;
	int rc;

	/* Plain names are checked by our own grammar, whose messages say more. */
	if (is_ascii(s) && name_domain(s, out, err) < 0)
		return -1;
	if (is_ascii(s) && !strstr(out, "xn--"))
		return 0;
	if (strlen(s) > 4 * LIM_HOST_NAME)
		return err_set(err, ERR_INVALID_PARAMS, "Hostname %.100s is invalid: too long.", s);
	rc = idn2_to_ascii_8z(s + (wild ? 2 : 0), &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	if (rc != IDN2_OK)
		return err_set(err, ERR_INVALID_PARAMS, "Hostname %.100s is invalid: %s.", s,
			       idn2_strerror(rc));
	whole = xasprintf("%s%s", wild ? "*." : "", ascii);
	return name_domain(whole, out, err);
}
