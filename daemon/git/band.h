/* band.h - the answer to a push: side-band packets (text, report, keepalives), or the bare report
 * for clients that cannot take bands. The sink decides where bytes go, so it is tested without
 * sockets. */
#ifndef GIT_BAND_H
#define GIT_BAND_H

#include "proto/auto.h"

#define BAND_DATA_MAX 65515

struct band;

/* Takes bytes; -1 = the client has gone (nothing more is given then). Never called by two threads
 * at once; called by the keepalive's thread too. May block. */
typedef int band_sink(void *arg, const void *p, size_t n);

/* sideband: was it agreed? If not, text is dropped (there is no channel for it). */
struct band *band_new(bool sideband, band_sink *sink, void *arg);
void band_free(struct band *b); /* ends the keepalives; NULL is fine */
/* From now on an empty band-2 packet goes out whenever nothing else did for ms. */
void band_keepalive(struct band *b, int ms);
/* Text for the user's terminal: colours pass, other control sequences are taken out. Any thread. */
void band_say(struct band *b, const char *text, size_t n);
/* The report, whole, as pkt-lines with its flush; ends the stream. */
void band_report(struct band *b, const void *report, size_t n);
bool band_gone(struct band *b);
bool band_sideband(const struct band *b);

/* What terminals may get: printable bytes, TAB, LF, CR, and ESC [ ... m. A sequence cut by the end
 * of the input is held until the next call. Pure. */
struct band_filter {   /* zeroed = ready */
	char held[32]; /* parameters of the sequence being read */
	unsigned char n, state;
	bool too_long; /* or no colour: drop it at its end */
};
#define BAND_FILTER_SLACK 35
/* Writes at most n + BAND_FILTER_SLACK bytes to out; returns how many. */
size_t band_filter(struct band_filter *f, const char *in, size_t n, char *out);

DEFINE_AUTO(struct band *, band_free)

#endif
