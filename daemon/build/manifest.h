/* manifest.h - private to build: what buildpack scripts print. bin/release YAML and bin/report
 * (flat YAML or JSON). Pure; any thread. */
#ifndef BUILD_MANIFEST_H
#define BUILD_MANIFEST_H

#include "daemon/slug/slug.h"
#include "proto/buf.h"

struct release_yaml {		  /* owned content; release_yaml_clear */
	struct proc_types types;  /* default_process_types */
	struct proc_types config; /* config_vars: name -> value */
	char **addons;		  /* NULL-terminated; NULL when none */
	int naddons;
};

/* Reads bin/release's output. An empty document, "---" and "--- {}" are fine and give nothing. Keys
 * that are not known are passed over; entries of the wrong shape are left out, and warn (may be
 * NULL) is told. -1 (out stays empty) when it is not YAML or not a mapping: the caller warns and
 * goes on. */
int release_yaml_parse(const char *p, size_t n, struct release_yaml *out,
		       void (*warn)(const char *line, void *arg), void *arg, struct err *err);
void release_yaml_clear(struct release_yaml *r);
#define release_yaml_clear_p release_yaml_clear

/* Reads bin/report's output into a JSON object of strings, numbers and booleans; what is nested is
 * left out. -1 when there is nothing usable. */
int report_parse(const char *p, size_t n, struct buf *json, struct err *err);

#endif
