/*
 * tracking_text.c
 *		Writes how a table is tracked: as JSON for the trigger, as words for
 *		people.
 */
#include "activity.h"

#include "taxonomy.h"
#include "tier.h"
#include "tracking.h"

#include "utils/builtins.h"
#include "utils/json.h"

static void write_texts(StringInfo out, const List *texts);
static void write_words(StringInfo out, const ActWords *words);
static void write_sources(StringInfo out, const List *sources);
static void write_machines(StringInfo out, const List *machines);
static void write_rule(StringInfo out, const ActRule *rule);
static void write_condition(StringInfo out, const ActCondition *condition);
static void write_fields(StringInfo out, const char *key, const List *fields);
static void write_jsonb(StringInfo out, Jsonb *json);
static void write_tiers(StringInfo out, const ActTracking *tracking);
static bool accepts(const ActWords *words, const char *word);
static bool accepts_other(const ActWords *words, const char *word);
static void say_words(StringInfo out, const ActWords *words);
static void say_condition(StringInfo out, const ActCondition *condition);

static const char *const tier_names[] = {"free", "premium", "enterprise"};

void
act_tracking_write(StringInfo out, const ActTracking *tracking)
{
	ListCell   *cell;
	const char *comma = "";

	appendStringInfoString(out, "{\"category\":");
	escape_json(out, tracking->category);
	appendStringInfoString(out, ",\"id\":");
	escape_json(out, tracking->id);
	appendStringInfo(out, ",\"on_unknown\":\"%s\"",
					 tracking->strict ? "error" : "warn");
	appendStringInfoString(out, ",\"columns\":{");
	write_sources(out, tracking->sources);
	appendStringInfoChar(out, '}');
	if (tracking->machines)
		write_machines(out, tracking->machines);
	appendStringInfoString(out, ",\"rules\":[");
	foreach(cell, tracking->rules)
	{
		appendStringInfoString(out, comma);
		write_rule(out, lfirst(cell));
		comma = ",";
	}
	appendStringInfoChar(out, ']');
	if (tracking->identity)
	{
		appendStringInfoString(out, ",\"identity\":");
		write_texts(out, tracking->identity);
	}
	if (tracking->ignored)
	{
		appendStringInfoString(out, ",\"ignore\":");
		write_texts(out, tracking->ignored);
	}
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
		separator = "";
		foreach(cell, rule->changed)
		{
			appendStringInfo(&out, "%s%s", separator, (char *) lfirst(cell));
			separator = " or ";
		}
		appendStringInfoString(&out, " changes");
	}
	if (out.len == 0)
		appendStringInfoString(&out, "always");
	return out.data;
}

static void
write_texts(StringInfo out, const List *texts)
{
	ListCell   *cell;
	const char *comma = "";

	appendStringInfoChar(out, '[');
	foreach(cell, texts)
	{
		appendStringInfoString(out, comma);
		escape_json(out, lfirst(cell));
		comma = ",";
	}
	appendStringInfoChar(out, ']');
}

static void
write_words(StringInfo out, const ActWords *words)
{
	ListCell   *cell;
	const char *comma = "";

	appendStringInfoChar(out, '[');
	foreach(cell, words->words)
	{
		appendStringInfoString(out, comma);
		escape_json(out, lfirst(cell));
		comma = ",";
	}
	if (words->null)
	{
		appendStringInfo(out, "%snull", comma);
		comma = ",";
	}
	if (words->any)
	{
		appendStringInfo(out, "%s\"*\"", comma);
		comma = ",";
	}
	if (words->positive)
	{
		appendStringInfo(out, "%s\">0\"", comma);
		comma = ",";
	}
	if (words->negative)
		appendStringInfo(out, "%s\"<0\"", comma);
	appendStringInfoChar(out, ']');
}

static void
write_sources(StringInfo out, const List *sources)
{
	ListCell   *cell;
	const char *comma = "";

	foreach(cell, sources)
	{
		ActSource  *source = lfirst(cell);

		if (source->unused)
			continue;
		appendStringInfoString(out, comma);
		escape_json(out, source->name);
		appendStringInfoChar(out, ':');
		if (source->constant)
		{
			appendStringInfoString(out, "{\"value\":");
			write_jsonb(out, source->constant);
			appendStringInfoChar(out, '}');
		}
		else if (list_length(source->columns) == 1)
			escape_json(out, linitial(source->columns));
		else
			write_texts(out, source->columns);
		comma = ",";
	}
}

static void
write_machines(StringInfo out, const List *machines)
{
	ListCell   *cell;
	ListCell   *test_cell;
	const char *comma = "";

	appendStringInfoString(out, ",\"states\":{");
	foreach(cell, machines)
	{
		ActStateMachine *machine = lfirst(cell);
		const char *test_comma = "";

		appendStringInfoString(out, comma);
		escape_json(out, machine->name);
		appendStringInfoString(out, ":[");
		foreach(test_cell, machine->tests)
		{
			ActStateTest *test = lfirst(test_cell);

			appendStringInfo(out, "%s[", test_comma);
			if (test->name)
			{
				escape_json(out, test->name);
				appendStringInfoChar(out, ',');
				write_words(out, &test->is);
				appendStringInfoChar(out, ',');
			}
			escape_json(out, test->state);
			appendStringInfoChar(out, ']');
			test_comma = ",";
		}
		appendStringInfoChar(out, ']');
		comma = ",";
	}
	appendStringInfoChar(out, '}');
}

static void
write_rule(StringInfo out, const ActRule *rule)
{
	ListCell   *cell;
	const char *comma = "";

	appendStringInfoString(out, "{\"event\":");
	escape_json(out, rule->event);
	appendStringInfoString(out, ",\"on\":[");
	if (rule->operations & ACT_ON_INSERT)
	{
		appendStringInfoString(out, "\"insert\"");
		comma = ",";
	}
	if (rule->operations & ACT_ON_UPDATE)
	{
		appendStringInfo(out, "%s\"update\"", comma);
		comma = ",";
	}
	if (rule->operations & ACT_ON_DELETE)
		appendStringInfo(out, "%s\"delete\"", comma);
	appendStringInfoChar(out, ']');
	if (rule->conditions)
	{
		comma = "";
		appendStringInfoString(out, ",\"when\":{");
		foreach(cell, rule->conditions)
		{
			appendStringInfoString(out, comma);
			write_condition(out, lfirst(cell));
			comma = ",";
		}
		appendStringInfoChar(out, '}');
	}
	if (rule->any_change)
		appendStringInfoString(out, ",\"changed\":\"*\"");
	else if (rule->changed)
	{
		appendStringInfoString(out, ",\"changed\":");
		write_texts(out, rule->changed);
	}
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
	const char *comma = "";
	int			i;

	escape_json(out, condition->name);
	appendStringInfoString(out, ":{");
	for (i = 0; i < lengthof(sets); i++)
		if (sets[i].words->given)
		{
			appendStringInfo(out, "%s\"%s\":", comma, sets[i].key);
			write_words(out, sets[i].words);
			comma = ",";
		}
	if (condition->changed)
	{
		appendStringInfo(out, "%s\"changed\":true", comma);
		comma = ",";
	}
	if (condition->moved)
		appendStringInfo(out, "%s\"moved\":\"%s\"", comma,
						 condition->moved > 0 ? "up" : "down");
	appendStringInfoChar(out, '}');
}

static void
write_fields(StringInfo out, const char *key, const List *fields)
{
	static const char *const kinds[] = {
		NULL, NULL, "abs", "difference", "first", "value"
	};
	ListCell   *cell;
	const char *comma = "";

	appendStringInfo(out, ",\"%s\":{", key);
	foreach(cell, fields)
	{
		ActField   *field = lfirst(cell);

		appendStringInfoString(out, comma);
		escape_json(out, field->name);
		appendStringInfoChar(out, ':');
		if (field->kind == ACT_FIELD_NEW)
			escape_json(out, linitial(field->sources));
		else if (field->kind == ACT_FIELD_OLD)
			escape_json(out, psprintf("old.%s", (char *) linitial(field->sources)));
		else
		{
			appendStringInfo(out, "{\"%s\":", kinds[field->kind]);
			if (field->kind == ACT_FIELD_VALUE)
				write_jsonb(out, field->value);
			else
				write_texts(out, field->sources);
			appendStringInfoChar(out, '}');
		}
		comma = ",";
	}
	appendStringInfoChar(out, '}');
}

static void
write_jsonb(StringInfo out, Jsonb *json)
{
	appendStringInfoString(out, JsonbToCString(NULL, &json->root, VARSIZE(json)));
}

static void
write_tiers(StringInfo out, const ActTracking *tracking)
{
	ListCell   *cell;
	const char *comma = "";

	if (tracking->tiers)
	{
		appendStringInfoString(out, ",\"tiers\":[");
		foreach(cell, tracking->tiers)
		{
			ActTierWord *word = lfirst(cell);

			appendStringInfoString(out, comma);
			if (word->tier >= 0)
				appendStringInfoChar(out, '{');
			escape_json(out, word->word);
			if (word->tier >= 0)
				appendStringInfo(out, ":\"%s\"}", tier_names[word->tier]);
			comma = ",";
		}
		appendStringInfoChar(out, ']');
	}
	if (tracking->tier_name)
	{
		appendStringInfoString(out, ",\"tier\":{\"column\":");
		escape_json(out, tracking->tier_name);
		if (tracking->tier_machine)
		{
			appendStringInfoString(out, ",\"state\":");
			escape_json(out, tracking->tier_machine);
			appendStringInfoString(out, ",\"live\":");
			write_texts(out, tracking->tier_live);
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
	ListCell   *cell;
	const char *separator = "";

	foreach(cell, words->words)
	{
		appendStringInfo(out, "%s%s", separator, (char *) lfirst(cell));
		separator = " or ";
	}
	if (words->null)
	{
		appendStringInfo(out, "%snull", separator);
		separator = " or ";
	}
	if (words->any)
		appendStringInfo(out, "%snot null", separator);
	if (words->positive)
		appendStringInfo(out, "%sabove 0", separator);
	if (words->negative)
		appendStringInfo(out, "%sbelow 0", separator);
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
