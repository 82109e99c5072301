#include "cli/localdb.h"
#include "cli/cli.h"

#include <errno.h>
#include <string.h>
#include <yaml.h>

#define FILE_MAX (256 * 1024)
#define ERB	 "ERB0" /* in place of <%= ... %> */
#define DEPTH	 8

/* Tags of ERB become a word; a line that is nothing else becomes empty, or its word would be taken
 * for a part of the value before it. */
static void without_erb(const char *text, size_t n, struct buf *out)
{
	const char *end = text + n;

	while (text < end) {
		const char *open = memmem(text, (size_t)(end - text), "<%", 2), *close, *line;

		if (!open) {
			buf_add(out, text, (size_t)(end - text));
			return;
		}
		buf_add(out, text, (size_t)(open - text));
		close = memmem(open, (size_t)(end - open), "%>", 2);
		text = close ? close + 2 : end;
		for (line = buf_str(out) + out->len; line > buf_str(out) && line[-1] == ' '; line--)
			;
		if (line > buf_str(out) && line[-1] != '\n')
			buf_adds(out, ERB);
	}
}

static yaml_node_t *value_of(yaml_document_t *d, yaml_node_t *map, const char *key, int depth)
{
	yaml_node_t *merged = NULL, *found = NULL;

	if (!map || map->type != YAML_MAPPING_NODE || depth > DEPTH)
		return NULL;
	for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
	     p++) {
		yaml_node_t *k = yaml_document_get_node(d, p->key);

		if (!k || k->type != YAML_SCALAR_NODE)
			continue;
		if (strcmp((const char *)k->data.scalar.value, key) == 0)
			return yaml_document_get_node(d, p->value);
		if (strcmp((const char *)k->data.scalar.value, "<<") == 0)
			merged = yaml_document_get_node(d, p->value);
	}
	if (!merged || merged->type != YAML_SEQUENCE_NODE)
		return value_of(d, merged, key, depth + 1);
	for (yaml_node_item_t *i = merged->data.sequence.items.start;
	     i < merged->data.sequence.items.top && !found; i++)
		found = value_of(d, yaml_document_get_node(d, *i), key, depth + 1);
	return found;
}

static yaml_node_t *database_of(yaml_document_t *d)
{
	yaml_node_t *dev = value_of(d, yaml_document_get_root_node(d), "development", 0);
	yaml_node_t *name = value_of(d, dev, "database", 0);

	if (name || !dev || dev->type != YAML_MAPPING_NODE)
		return name;
	for (yaml_node_pair_t *p = dev->data.mapping.pairs.start;
	     p < dev->data.mapping.pairs.top && !name; p++)
		name = value_of(d, yaml_document_get_node(d, p->value), "database", 0);
	return name;
}

int cli_localdb_parse(const char *text, size_t n, char **out, struct err *err)
{
	AUTO(buf_clear) struct buf plain = {0};
	yaml_parser_t p;
	yaml_document_t d;
	yaml_node_t *name;
	int ok;

	*out = NULL;
	without_erb(text, n, &plain);
	if (!yaml_parser_initialize(&p))
		abort(); /* out of memory */
	yaml_parser_set_input_string(&p, (const unsigned char *)buf_str(&plain), plain.len);
	ok = yaml_parser_load(&p, &d);
	if (!ok)
		err_set(err, ERR_BAD_REQUEST, "config/database.yml is no YAML: line %zu: %s",
			p.problem_mark.line + 1, p.problem ? p.problem : "?");
	yaml_parser_delete(&p);
	if (!ok)
		return -1;
	name = database_of(&d);
	if (name && name->type == YAML_SCALAR_NODE && name->data.scalar.length > 0 &&
	    !strstr((const char *)name->data.scalar.value, ERB))
		*out = xstrdup((const char *)name->data.scalar.value);
	yaml_document_delete(&d);
	return 0;
}

static int folder_name(char **out, struct err *err)
{
	AUTO(auto_str) char *here = realpath(".", NULL);
	const char *slash = here ? strrchr(here, '/') : NULL;

	if (!slash || !slash[1])
		return err_set(err, ERR_BAD_REQUEST,
			       "which database? Say it: --database my_app_development");
	*out = xstrdup(slash + 1);
	return 0;
}

int cli_localdb_name(char **out, struct err *err)
{
	AUTO(buf_clear) struct buf b = {0};

	if (access("config/database.yml", F_OK) < 0)
		return folder_name(out, err);
	if (cli_read_file("config/database.yml", FILE_MAX, &b, err) < 0 ||
	    cli_localdb_parse(buf_str(&b), b.len, out, err) < 0)
		return -1;
	if (*out)
		return 0;
	return err_set(err, ERR_BAD_REQUEST,
		       "config/database.yml does not tell the name of the development database (or "
		       "it is made by Ruby, which does not run here). Say it: --database "
		       "my_app_development");
}
