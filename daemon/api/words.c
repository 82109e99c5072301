/* Names for what users have not named. */
#include "daemon/api/api_int.h"
#include "proto/names.h"

#include <stdio.h>

static const char *const adjectives[] = {
	"afternoon", "ancient", "arcane",     "blooming", "calm",     "cold",
	"damp",	     "dry",	"evening",    "fierce",	  "floating", "frozen",
	"gentle",    "glacial", "guarded",    "hidden",	  "immense",  "limitless",
	"mighty",    "morning", "mysterious", "peaceful", "quiet",    "salty",
	"secure",    "serene",	"sleepy",     "stormy",	  "tranquil", "vast"};
static const char *const nouns[] = {
	"atoll",    "badlands", "bastion", "bayou",  "beach",  "brook",	     "castle",
	"cliffs",   "coast",	"cove",	   "dawn",   "depths", "escarpment", "falls",
	"fjord",    "forest",	"garden",  "harbor", "island", "lake",	     "meadow",
	"mesa",	    "mountain", "oasis",   "plains", "reef",   "ridge",	     "river",
	"savannah", "shore",	"sierra",  "spire",  "tundra", "valley",     "waters"};

void api_words_app(char out[32])
{
	do
		snprintf(out, 32, "%s-%s-%05u", adjectives[random_below(ARRAY_LEN(adjectives))],
			 nouns[random_below(ARRAY_LEN(nouns))], 10000 + random_below(90000));
	while (!name_is_app(out));
}

void api_words_cert(char out[32])
{
	snprintf(out, 32, "%s-%04u", adjectives[random_below(ARRAY_LEN(adjectives))],
		 1000 + random_below(9000));
}
