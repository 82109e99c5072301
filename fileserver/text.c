/* text.c - patterns, content types, ranges, dates: pure functions on text. */
#include "fileserver/site.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* One place to return to for '*' and one for '**' suffice: a later star makes an earlier one of the
 * same reach needless. */
bool fsv_glob(const char *p, const char *s)
{
	const char *star = NULL, *star_at = NULL, *deep = NULL, *deep_at = NULL;

	while (*s) {
		if (*p == '*' && p[1] == '*') {
			while (*p == '*')
				p++;
			deep = p;
			deep_at = s;
			star = NULL;
		} else if (*p == '*') {
			star = ++p;
			star_at = s;
		} else if (*p == *s) {
			p++;
			s++;
		} else if (star && *star_at != '/') {
			p = star;
			s = ++star_at;
		} else if (deep) {
			p = deep;
			s = ++deep_at;
			star = NULL;
		} else {
			return false;
		}
	}
	while (*p == '*')
		p++;
	return !*p;
}

/* --- content types -----------------------------------------------------------------------------
 */

#define TEXT	 1 /* gets a charset */
#define COMPRESS 2
static const struct {
	const char *ext, *type;
	int flags;
} types[] = {
	{"html", "text/html", TEXT | COMPRESS},
	{"htm", "text/html", TEXT | COMPRESS},
	{"css", "text/css", TEXT | COMPRESS},
	{"js", "text/javascript", TEXT | COMPRESS},
	{"mjs", "text/javascript", TEXT | COMPRESS},
	{"json", "application/json", COMPRESS},
	{"map", "application/json", COMPRESS},
	{"webmanifest", "application/manifest+json", COMPRESS},
	{"xml", "text/xml", TEXT | COMPRESS},
	{"txt", "text/plain", TEXT | COMPRESS},
	{"text", "text/plain", TEXT | COMPRESS},
	{"log", "text/plain", TEXT | COMPRESS},
	{"md", "text/markdown", TEXT | COMPRESS},
	{"csv", "text/csv", TEXT | COMPRESS},
	{"ics", "text/calendar", TEXT | COMPRESS},
	{"vtt", "text/vtt", TEXT | COMPRESS},
	{"svg", "image/svg+xml", COMPRESS},
	{"rss", "application/rss+xml", COMPRESS},
	{"atom", "application/atom+xml", COMPRESS},
	{"xhtml", "application/xhtml+xml", COMPRESS},
	{"wasm", "application/wasm", COMPRESS},
	{"png", "image/png", 0},
	{"jpg", "image/jpeg", 0},
	{"jpeg", "image/jpeg", 0},
	{"gif", "image/gif", 0},
	{"webp", "image/webp", 0},
	{"avif", "image/avif", 0},
	{"bmp", "image/bmp", COMPRESS},
	{"ico", "image/vnd.microsoft.icon", COMPRESS},
	{"woff", "font/woff", 0},
	{"woff2", "font/woff2", 0},
	{"ttf", "font/ttf", COMPRESS},
	{"otf", "font/otf", COMPRESS},
	{"eot", "application/vnd.ms-fontobject", COMPRESS},
	{"mp3", "audio/mpeg", 0},
	{"ogg", "audio/ogg", 0},
	{"oga", "audio/ogg", 0},
	{"opus", "audio/ogg", 0},
	{"wav", "audio/wav", 0},
	{"flac", "audio/flac", 0},
	{"m4a", "audio/mp4", 0},
	{"mp4", "video/mp4", 0},
	{"m4v", "video/mp4", 0},
	{"webm", "video/webm", 0},
	{"ogv", "video/ogg", 0},
	{"mov", "video/quicktime", 0},
	{"pdf", "application/pdf", 0},
	{"zip", "application/zip", 0},
	{"gz", "application/gzip", 0},
	{"tgz", "application/gzip", 0},
	{"tar", "application/x-tar", 0},
	{"7z", "application/x-7z-compressed", 0},
	{"rtf", "application/rtf", COMPRESS},
	{"epub", "application/epub+zip", 0},
};

const char *fsv_content_type(const char *name, bool *is_text, bool *compressible)
{
	const char *slash = strrchr(name, '/');
	const char *dot = strrchr(slash ? slash : name, '.');

	*is_text = *compressible = false;
	for (size_t i = 0; dot && i < ARRAY_LEN(types); i++) {
		if (strcasecmp(dot + 1, types[i].ext) != 0)
			continue;
		*is_text = types[i].flags & TEXT;
		*compressible = types[i].flags & COMPRESS;
		return types[i].type;
	}
	return "application/octet-stream";
}

/* --- ranges ------------------------------------------------------------------------------------
 */

/* 1*DIGIT at *p; -1 when there is none. Saturates. */
static off_t number(const char **p, const char *end)
{
	const off_t max = (off_t)1 << 62;
	off_t n = 0;

	if (*p == end || **p < '0' || **p > '9')
		return -1;
	for (; *p < end && **p >= '0' && **p <= '9'; ++*p)
		n = n > max / 16 ? max : n * 10 + (**p - '0');
	return n;
}

int fsv_range(struct http1_str v, off_t size, off_t *off, off_t *n)
{
	const char *p = v.p + 6, *end = v.p + v.n;
	off_t first, last;

	if (v.n < 7 || strncasecmp(v.p, "bytes=", 6) != 0)
		return 0;
	first = number(&p, end);
	if (p == end || *p++ != '-')
		return 0;
	last = number(&p, end);
	if (p != end || (first < 0 && last < 0) || (first >= 0 && last >= 0 && last < first))
		return 0; /* not well-formed, or several: the whole is a right answer (RFC
			     9110 14.2) */
	if (first < 0) {  /* the last so many */
		if (last == 0 || size == 0)
			return -1;
		first = last > size ? 0 : size - last;
		last = size - 1;
	}
	if (first >= size)
		return -1;
	if (last < 0 || last >= size)
		last = size - 1;
	*off = first;
	*n = last - first + 1;
	return 1;
}

/* --- dates -------------------------------------------------------------------------------------
 */

static const char days[] = "SunMonTueWedThuFriSat";
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

void fsv_http_date(time_t t, char out[32])
{
	struct tm tm;

	gmtime_r(&t, &tm);
	snprintf(out, 32, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * tm.tm_wday,
		 tm.tm_mday, months + 3 * tm.tm_mon, (tm.tm_year + 1900) % 10000, tm.tm_hour,
		 tm.tm_min, tm.tm_sec);
}

/* IMF-fixdate only, the one form that is still sent (RFC 9110 5.6.7). */
time_t fsv_parse_date(struct http1_str v)
{
	struct tm tm = {0};
	char text[32], month[4], back[32];
	const char *m;
	time_t t;

	if (v.n != 29)
		return -1;
	memcpy(text, v.p, 29);
	text[29] = 0;
	if (sscanf(text + 5, "%2d %3s %4d %2d:%2d:%2d GMT", &tm.tm_mday, month, &tm.tm_year,
		   &tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 6)
		return -1;
	m = strstr(months, month);
	if (!m || strlen(month) != 3 || (m - months) % 3)
		return -1;
	tm.tm_mon = (int)((m - months) / 3);
	tm.tm_year -= 1900;
	t = timegm(&tm);
	fsv_http_date(t, back);
	return strcmp(text, back) == 0 ? t : -1;
}
