/* Names of review apps' apps (Dev Center: Review Apps, "URL patterns"). */
#include "daemon/core/codec.h"
#include "daemon/review/review.h"
#include "proto/limits.h"
#include "proto/names.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { BASE_PART = 20, PIPELINE_PART = 13, BRANCH_PART = 9, RANDOM_PART = 6 };

/* Lower case, hyphens in place of all else, none at the ends or twice; at most max. */
static void slug(const char *text, int max, char *out)
{
	int n = 0;

	for (; *text && n < max; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 128 && isalnum(c))
			out[n++] = (char)tolower(c);
		else if (n && out[n - 1] != '-')
			out[n++] = '-';
	}
	while (n && out[n - 1] == '-')
		n--;
	out[n] = 0;
}

static void random_part(char *out)
{
	static const char set[] = "abcdefghijklmnopqrstuvwxyz0123456789";

	for (int i = 0; i < RANDOM_PART; i++)
		out[i] = set[random_below(sizeof set - 1)];
	out[RANDOM_PART] = 0;
}

void review_name(const char *base, const char *pipeline, const char *branch, int64_t pr_number,
		 char out[32])
{
	char first[LIM_APP_NAME + 1], second[LIM_APP_NAME + 1], end[RANDOM_PART + 1], all[80];

	if (base && pr_number) {
		/* as `pr_app N` makes it of the staging app's name, to the letter (Parity) */
		snprintf(out, 32, "%.*s-pr-%lld", BASE_PART, base, (long long)pr_number);
		return;
	}
	if (base) {
		slug(base, BASE_PART, first);
		slug(branch, LIM_APP_NAME - 1 - (int)strlen(first), second);
		snprintf(all, sizeof all, "%s-%s", first, second[0] ? second : "branch");
		snprintf(out, 32, "%.*s", LIM_APP_NAME, all);
		return;
	}
	slug(pipeline, PIPELINE_PART, first);
	slug(branch, BRANCH_PART, second);
	random_part(end);
	snprintf(all, sizeof all, "%s-%s%s%s", first, second, second[0] ? "-" : "", end);
	snprintf(out, 32, "%.*s", LIM_APP_NAME, all);
}
