/*
 * track/text.c
 *		Writes how a table is tracked: as JSON for the trigger, as words for
 *		people.
 */
#include "activity.h"

#include "taxonomy/taxonomy.h"
#include "track/tier.h"
#include "track/tracking.h"

#include "utils/builtins.h"
#include "utils/json.h"

static void write_comma(StringInfo out);
static void write_text(StringInfo out, const char *text);
static void write_key(StringInfo out, const char *key);
static void write_member(StringInfo out, const char *key, const char *text);
static void write_texts(StringInfo out, const char *key, const List *texts);
static void write_words(StringInfo out, const ActWords *words);
static void write_sources(StringInfo out, const List *sources);
static void write_machines(StringInfo out, const List *machines);
static void write_rule(StringInfo out, const ActRule *rule);
static void write_condition(StringInfo out, const ActCondition *condition);
static void write_fields(StringInfo out, const char *key, const List *fields);
static void write_value(StringInfo out, const char *key, Jsonb *value);
static void write_tiers(StringInfo out, const ActTracking *tracking);
static bool accepts(const ActWords *words, const char *word);
static bool accepts_other(const ActWords *words, const char *word);
static void say_words(StringInfo out, const ActWords *words);
static void say_alternatives(StringInfo out, const List *words);
static void say_condition(StringInfo out, const ActCondition *condition);

static const char *const tier_names[] = {"free", "premium", "enterprise"};

void
act_tracking_write(StringInfo out, const ActTracking *tracking)
{
	ListCell   *cell;

	appendStringInfoChar(out, '{');
	write_member(out, "category", tracking->category);
	write_member(out, "id", tracking->id);
	write_member(out, "on_unknown", tracking->strict ? "error" : "warn");
	write_sources(out, tracking->sources);
	if (tracking->machines)
		write_machines(out, tracking->machines);
	write_key(out, "rules");
	appendStringInfoChar(out, '[');
	foreach(cell, tracking->rules)
		write_rule(out, lfirst(cell));
	appendStringInfoChar(out, ']');
	if (tracking->identity)
		write_texts(out, "identity", tracking->identity);
	if (tracking->ignored)
		write_texts(out, "ignore", tracking->ignored);
	write_tiers(out, tracking);
	appendStringInfoChar(out, '}');
}

/* What was written, or else what its conditions can mean. */
int
act_tracking_operations(const ActTracking *tracking, const ActRule *rule)
{
	int			operations = rule->operations;
	ListCell   *cell;

	if (operations == 0)
		operations = ACT_ON_INSERT | ACT_ON_UPDATE | ACT_ON_DELETE;
	if (rule->changed || rule->any_change)
		operations &= ACT_ON_UPDATE;
	foreach(cell, rule->conditions)
	{
		ActCondition *condition = lfirst(cell);
		bool		change = condition->changed || condition->from.given ||
			condition->to.given;

		if (condition->moved || condition->was.given || condition->changed)
			operations &= ACT_ON_UPDATE;
		if (!act_tracking_machine(tracking, condition->name))
		{
			if (change)
				operations &= condition->from.given ? ACT_ON_UPDATE :
					ACT_ON_INSERT | ACT_ON_UPDATE;
			continue;
		}
		if (change)
		{
			if (!accepts(&condition->from, ACT_STATE_ABSENT))
				operations &= ~ACT_ON_INSERT;
			if (!condition->to.given || !accepts(&condition->to, ACT_STATE_ABSENT))
				operations &= ~ACT_ON_DELETE;
			if (!accepts_other(&condition->from, ACT_STATE_ABSENT) ||
				!accepts_other(&condition->to, ACT_STATE_ABSENT))
				operations &= ~ACT_ON_UPDATE;
		}
	}
	return operations;
}

bool
act_tracking_requires(const ActRule *rule, const char *name)
{
	const ActEventType *type = act_taxonomy_require(rule->event,
													strlen(rule->event));
	List	   *fields = list_concat_copy(rule->subject, rule->metadata);
	ListCell   *cell;
	int			i;

	foreach(cell, fields)
	{
		ActField   *field = lfirst(cell);

		if (act_tracking_has_word(field->sources, name))
			for (i = 0; i < type->nrequired; i++)
				if (strcmp(type->required[i], field->name) == 0)
					return true;
	}
	return false;
}

/* Such as: state becomes active, from absent or pending; role changes. */
char *
act_tracking_condition(const ActTracking *tracking, const ActRule *rule)
{
	StringInfoData out;
	ListCell   *cell;
	const char *separator = "";

	initStringInfo(&out);
	foreach(cell, rule->conditions)
	{
		appendStringInfoString(&out, separator);
		say_condition(&out, lfirst(cell));
		separator = "; ";
	}
	if (rule->any_change)
		appendStringInfo(&out, "%sany column changes", separator);
	else if (rule->changed)
	{
		appendStringInfoString(&out, separator);
		say_alternatives(&out, rule->changed);
		appendStringInfoString(&out, " changes");
	}
	if (out.len == 0)
		appendStringInfoString(&out, "always");
	return out.data;
}

/* The comma, unless this is the first of its array or object, or a value. */
static void
write_comma(StringInfo out)
{
	if (strchr("[{:", out->data[out->len - 1]) == NULL)
		appendStringInfoChar(out, ',');
}

static void
write_text(StringInfo out, const char *text)
{
	write_comma(out);
	escape_json(out, text);
}

static void
write_key(StringInfo out, const char *key)
{
	write_text(out, key);
	appendStringInfoChar(out, ':');
}

static void
write_member(StringInfo out, const char *key, const char *text)
{
	write_key(out, key);
	write_text(out, text);
}

static void
write_texts(StringInfo out, const char *key, const List *texts)
{
	ListCell   *cell;

	write_key(out, key);
	appendStringInfoChar(out, '[');
	foreach(cell, texts)
		write_text(out, lfirst(cell));
	appendStringInfoChar(out, ']');
}

static void
write_words(StringInfo out, const ActWords *words)
{
	ListCell   *cell;

	write_comma(out);
	appendStringInfoChar(out, '[');
	foreach(cell, words->words)
		write_text(out, lfirst(cell));
	if (words->null)
	{
		write_comma(out);
		appendStringInfoString(out, "null");
	}
	if (words->any)
		write_text(out, "*");
	if (words->positive)
		write_text(out, ">0");
	if (words->negative)
		write_text(out, "<0");
	appendStringInfoChar(out, ']');
}

static void
write_sources(StringInfo out, const List *sources)
{
	ListCell   *cell;

	write_key(out, "columns");
	appendStringInfoChar(out, '{');
	foreach(cell, sources)
	{
		ActSource  *source = lfirst(cell);

		if (source->unused)
			continue;
		if (source->constant)
			write_value(out, source->name, source->constant);
		else if (list_length(source->columns) == 1)
			write_member(out, source->name, linitial(source->columns));
		else
			write_texts(out, source->name, source->columns);
	}
	appendStringInfoChar(out, '}');
}

static void
write_machines(StringInfo out, const List *machines)
{
	ListCell   *cell;
	ListCell   *test_cell;

	write_key(out, "states");
	appendStringInfoChar(out, '{');
	foreach(cell, machines)
	{
		ActStateMachine *machine = lfirst(cell);

		write_key(out, machine->name);
		appendStringInfoChar(out, '[');
		foreach(test_cell, machine->tests)
		{
			ActStateTest *test = lfirst(test_cell);

			write_comma(out);
			appendStringInfoChar(out, '[');
			if (test->name)
			{
				write_text(out, test->name);
				write_words(out, &test->is);
			}
			write_text(out, test->state);
			appendStringInfoChar(out, ']');
		}
		appendStringInfoChar(out, ']');
	}
	appendStringInfoChar(out, '}');
}

static void
write_rule(StringInfo out, const ActRule *rule)
{
	ListCell   *cell;

	write_comma(out);
	appendStringInfoChar(out, '{');
	write_member(out, "event", rule->event);
	write_key(out, "on");
	appendStringInfoChar(out, '[');
	if (rule->operations & ACT_ON_INSERT)
		write_text(out, "insert");
	if (rule->operations & ACT_ON_UPDATE)
		write_text(out, "update");
	if (rule->operations & ACT_ON_DELETE)
		write_text(out, "delete");
	appendStringInfoChar(out, ']');
	if (rule->conditions)
	{
		write_key(out, "when");
		appendStringInfoChar(out, '{');
		foreach(cell, rule->conditions)
			write_condition(out, lfirst(cell));
		appendStringInfoChar(out, '}');
	}
	if (rule->any_change)
		write_member(out, "changed", "*");
	else if (rule->changed)
		write_texts(out, "changed", rule->changed);
	write_fields(out, "subject", rule->subject);
	if (rule->metadata)
		write_fields(out, "metadata", rule->metadata);
	appendStringInfoChar(out, '}');
}

static void
write_condition(StringInfo out, const ActCondition *condition)
{
	const struct
	{
		const char *key;
		const ActWords *words;
	}			sets[] = {
		{"from", &condition->from}, {"to", &condition->to},
		{"is", &condition->is}, {"was", &condition->was}
	};

	write_key(out, condition->name);
	appendStringInfoChar(out, '{');
	for (int i = 0; i < lengthof(sets); i++)
		if (sets[i].words->given)
		{
			write_key(out, sets[i].key);
			write_words(out, sets[i].words);
		}
	if (condition->changed)
	{
		write_key(out, "changed");
		appendStringInfoString(out, "true");
	}
	if (condition->moved)
		write_member(out, "moved", condition->moved > 0 ? "up" : "down");
	appendStringInfoChar(out, '}');
}

static void
write_fields(StringInfo out, const char *key, const List *fields)
{
	static const char *const kinds[] = {
		NULL, NULL, "abs", "difference", "first"
	};
	ListCell   *cell;

	write_key(out, key);
	appendStringInfoChar(out, '{');
	foreach(cell, fields)
	{
		ActField   *field = lfirst(cell);

		if (field->kind == ACT_FIELD_NEW)
			write_member(out, field->name, linitial(field->sources));
		else if (field->kind == ACT_FIELD_OLD)
			write_member(out, field->name,
						 psprintf("old.%s", (char *) linitial(field->sources)));
		else if (field->kind == ACT_FIELD_VALUE)
			write_value(out, field->name, field->value);
		else
		{
			write_key(out, field->name);
			appendStringInfoChar(out, '{');
			write_texts(out, kinds[field->kind], field->sources);
			appendStringInfoChar(out, '}');
		}
	}
	appendStringInfoChar(out, '}');
}

static void
write_value(StringInfo out, const char *key, Jsonb *value)
{
	write_key(out, key);
	appendStringInfoChar(out, '{');
	write_key(out, "value");
	appendStringInfoString(out, JsonbToCString(NULL, &value->root, VARSIZE(value)));
	appendStringInfoChar(out, '}');
}

static void
write_tiers(StringInfo out, const ActTracking *tracking)
{
	ListCell   *cell;

	if (tracking->tiers)
	{
		write_key(out, "tiers");
		appendStringInfoChar(out, '[');
		foreach(cell, tracking->tiers)
		{
			ActTierWord *word = lfirst(cell);

			if (word->tier < 0)
			{
				write_text(out, word->word);
				continue;
			}
			write_comma(out);
			appendStringInfoChar(out, '{');
			write_member(out, word->word, tier_names[word->tier]);
			appendStringInfoChar(out, '}');
		}
		appendStringInfoChar(out, ']');
	}
	if (tracking->tier_name)
	{
		write_key(out, "tier");
		appendStringInfoChar(out, '{');
		write_member(out, "column", tracking->tier_name);
		if (tracking->tier_machine)
		{
			write_member(out, "state", tracking->tier_machine);
			write_texts(out, "live", tracking->tier_live);
		}
		appendStringInfoChar(out, '}');
	}
}

/* Whether the set holds the word; what was not given holds all. */
static bool
accepts(const ActWords *words, const char *word)
{
	return !words->given || words->any ||
		act_tracking_has_word(words->words, word);
}

/* Whether the set holds anything but the word. */
static bool
accepts_other(const ActWords *words, const char *word)
{
	ListCell   *cell;

	if (!words->given || words->any)
		return true;
	foreach(cell, words->words)
		if (strcmp(lfirst(cell), word) != 0)
			return true;
	return false;
}

static void
say_words(StringInfo out, const ActWords *words)
{
	List	   *all = list_copy(words->words);

	if (words->null)
		all = lappend(all, "null");
	if (words->any)
		all = lappend(all, "not null");
	if (words->positive)
		all = lappend(all, "above 0");
	if (words->negative)
		all = lappend(all, "below 0");
	say_alternatives(out, all);
}

static void
say_alternatives(StringInfo out, const List *words)
{
	ListCell   *cell;
	const char *separator = "";

	foreach(cell, words)
	{
		appendStringInfo(out, "%s%s", separator, (char *) lfirst(cell));
		separator = " or ";
	}
}

static void
say_condition(StringInfo out, const ActCondition *condition)
{
	appendStringInfoString(out, condition->name);
	if (condition->to.given)
	{
		appendStringInfoString(out, " becomes ");
		say_words(out, &condition->to);
	}
	else if (condition->from.given || condition->changed)
		appendStringInfoString(out, " changes");
	if (condition->from.given)
	{
		appendStringInfoString(out, " from ");
		say_words(out, &condition->from);
	}
	if (condition->moved)
		appendStringInfoString(out, condition->moved > 0 ? " goes up" : " goes down");
	if (condition->is.given)
	{
		appendStringInfoString(out, " is ");
		say_words(out, &condition->is);
	}
	if (condition->was.given)
	{
		appendStringInfoString(out, " and was ");
		say_words(out, &condition->was);
	}
}
