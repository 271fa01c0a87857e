/*
 * taxonomy/suggestion.c
 *		What somebody may have meant by a key that doesn't exist.
 *
 * In order of confidence: keys that differ by a few letters (which also finds
 * another vocabulary's spelling, such as apikey.rotated for api_key.rotated),
 * the same action in other categories, what the category has.
 */
#include "activity.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/varlena.h"

#include "base/compat.h"
#include "taxonomy/suggestion.h"
#include "taxonomy/taxonomy.h"

/* Most keys that a hint proposes, and most actions that it lists. */
#define SUGGESTED_KEYS 3
#define LISTED_ACTIONS 20

static char *lower_copy(const char *word, int len);
static char *shown(const char *word, int len);
static int	farthest(int len);
static int	distance(const char *word, int len, const char *other, int most);
static char *suggest_near(const char *key, int len);
static char *suggest_action(const char *key);
static char *list_category(const char *key);
static void add_key(StringInfo out, int *count, const char *key);

/* Reports a key that does not exist. */
void
act_suggestion_report(const char *key, int len, struct Node *soft)
{
	char	   *lower = NULL;
	char	   *hint = NULL;

	if (len <= ACT_KEY_MAX)
	{
		lower = lower_copy(key, len);
		hint = suggest_near(lower, strlen(lower));
		if (hint == NULL)
			hint = suggest_action(lower);
		if (hint == NULL)
			hint = list_category(lower);
	}
	if (hint == NULL)
		hint = "The view activity.event_types lists them; activity.define_event_type() adds one.";

	errsave(soft,
			(errcode(ERRCODE_ACT_UNKNOWN_EVENT_TYPE),
			 errmsg("event type \"%s\" does not exist", shown(key, len)),
			 errhint("%s", hint)));
}

/* Throws for a category that no type has. */
void
act_suggestion_throw_category(const char *category, int len)
{
	const char *nearest = NULL;
	int			most = farthest(len);
	int			i;

	if (len <= ACT_KEY_MAX)
	{
		char	   *lower = lower_copy(category, len);
		int			count = act_taxonomy_count();

		for (i = 0; i < count; i++)
		{
			const ActEventType *type = act_taxonomy_nth(i);
			int			d = distance(lower, strlen(lower), type->category, most);

			if (d <= most)
			{
				nearest = pstrdup(type->category);
				most = d - 1;
			}
		}
	}

	ereport(ERROR,
			(errcode(ERRCODE_ACT_UNKNOWN_EVENT_TYPE),
			 errmsg("no event type has the category \"%s\"",
					shown(category, len)),
			 nearest != NULL ? errhint("Did you mean \"%s.*\"?", nearest) :
			 errhint("The view activity.event_types lists the categories.")));
}

/* A copy in lower case, without blanks around it. */
static char *
lower_copy(const char *word, int len)
{
	char	   *lower;
	char	   *c;

	while (len > 0 && (*word == ' ' || *word == '\t' || *word == '\n'))
		word++, len--;
	while (len > 0 && (word[len - 1] == ' ' || word[len - 1] == '\t' ||
					   word[len - 1] == '\n'))
		len--;
	lower = pnstrdup(word, len);
	for (c = lower; *c != '\0'; c++)
	{
		if (*c >= 'A' && *c <= 'Z')
			*c += 'a' - 'A';
	}
	return lower;
}

/* The word as an error shows it: no longer than a key may be. */
static char *
shown(const char *word, int len)
{
	if (len <= ACT_KEY_MAX)
		return pnstrdup(word, len);
	return psprintf("%.*s...", pg_mbcliplen(word, len, ACT_KEY_MAX), word);
}

/* The distance up to which words of that length are taken for a slip. */
static int
farthest(int len)
{
	return Max(1, Min(3, len / 4));
}

/* The edit distance, or something larger than most. */
static int
distance(const char *word, int len, const char *other, int most)
{
	return varstr_levenshtein_less_equal(word, len, other, strlen(other),
										 1, 1, 1, most, true);
}

/* A hint with the nearest keys, or NULL if none is near. */
static char *
suggest_near(const char *key, int len)
{
	StringInfoData hint;
	int			best = farthest(len);
	int			found = 0;
	int			count = act_taxonomy_count();
	int			i;

	initStringInfo(&hint);
	for (i = 0; i < count; i++)
	{
		const ActEventType *type = act_taxonomy_nth(i);
		int			d = distance(key, len, type->key, best);

		if (d > best)
			continue;
		if (d < best)
		{
			resetStringInfo(&hint);
			found = 0;
			best = d;
		}
		add_key(&hint, &found, type->key);
	}
	if (found == 0)
		return NULL;
	appendStringInfoChar(&hint, '?');
	return hint.data;
}

/* A hint with the same action in other categories, or NULL. */
static char *
suggest_action(const char *key)
{
	StringInfoData hint;
	const char *action = strchr(key, '.');
	int			found = 0;
	int			count = act_taxonomy_count();
	int			i;

	if (action == NULL)
		return NULL;
	initStringInfo(&hint);
	for (i = 0; i < count && found < SUGGESTED_KEYS; i++)
	{
		const ActEventType *type = act_taxonomy_nth(i);

		/* "created" and the like say nothing about what is meant. */
		if (strcmp(type->action, action + 1) == 0 && strchr(action, '_') != NULL)
			add_key(&hint, &found, type->key);
	}
	if (found == 0)
		return NULL;
	appendStringInfoChar(&hint, '?');
	return hint.data;
}

/* A hint with the actions of the key's category, or NULL if there is none. */
static char *
list_category(const char *key)
{
	StringInfoData hint;
	int			len = strcspn(key, ".");
	int			found = 0;
	int			count = act_taxonomy_count();
	int			i;

	initStringInfo(&hint);
	for (i = 0; i < count && found < LISTED_ACTIONS; i++)
	{
		const ActEventType *type = act_taxonomy_nth(i);

		if (strncmp(type->category, key, len) != 0 ||
			type->category[len] != '\0')
			continue;
		if (found++ == 0)
			appendStringInfo(&hint, "Category \"%s\" has: ", type->category);
		else
			appendStringInfoString(&hint, ", ");
		appendStringInfoString(&hint, type->action);
	}
	if (found == 0)
		return NULL;
	appendStringInfoString(&hint, ". activity.define_event_type() adds one.");
	return hint.data;
}

/* Appends a key to the question, up to the number that is worth reading. */
static void
add_key(StringInfo out, int *count, const char *key)
{
	if (*count == SUGGESTED_KEYS)
		return;
	appendStringInfo(out, "%s\"%s\"", *count == 0 ? "Did you mean " : " or ",
					 key);
	(*count)++;
}
