/*
 * track/tracking.c
 *		Reads how a table is tracked from JSON.
 *
 * It is read when a table is set up, where a mistake is an error that a person
 * reads, and once per backend when a trigger first fires, from an argument that
 * set-up wrote (tracking_text.c).  One reader for both keeps the language small.
 */
#include "activity.h"

#include "base/json.h"
#include "event/id.h"
#include "track/tier.h"
#include "track/tracking.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

static void read_object(ActTracking *tracking, Jsonb *json);
static List *read_rules(Jsonb *json);
static List *read_sources(Jsonb *json);
static JsonbValue *value_of(void *member);
static void read_words(const JsonbValue *value, ActWords *words,
					   const char *where);
static void read_states(ActTracking *tracking, Jsonb *json);
static List *read_tests(Jsonb *json);
static List *read_needs(Jsonb *json);
static List *read_tiers(Jsonb *json);
static void read_tier(ActTracking *tracking, Jsonb *json);
static ActRule *read_rule(Jsonb *json);
static List *read_conditions(Jsonb *json);
static List *read_fields(const JsonbValue *value, const char *where);
static void read_field_source(ActField *field, JsonbValue *value);

static const char *const tracking_keys[] = {
	"category", "categories", "id", "on_unknown", "columns", "states", "rules",
	"identity", "ignore", "tiers", "tier", "needs", "words", "metadata",
	"preset", "replica", NULL
};

static const char *const rule_keys[] = {
	"event", "only", "optional", "on", "when", "changed", "subject",
	"metadata", NULL
};

static const char *const condition_keys[] = {
	"from", "to", "is", "was", "changed", "moved", NULL
};

ActTracking *
act_tracking_read(Jsonb *json)
{
	ActTracking *tracking = palloc0(sizeof(ActTracking));

	act_json_begin();
	if (JB_ROOT_IS_SCALAR(json))
		act_json_complain("rules", "an object, or an array of rules");
	if (JB_ROOT_IS_ARRAY(json))
		tracking->rules = read_rules(json);
	else
		read_object(tracking, json);
	act_json_end();
	return tracking;
}

/*
 * Whoever owns a table can give it a trigger with any argument.  Of what the
 * reader lets pass, recording relies on these two; the rest may be there or not.
 */
ActTracking *
act_tracking_read_argument(const char *argument, const char *table)
{
	ActTracking *tracking;
	pg_uuid_t	id;

	tracking = act_tracking_read(DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
																	CStringGetDatum(argument))));
	if (tracking->category == NULL || tracking->id == NULL ||
		strlen(tracking->id) != 36 ||
		!act_event_id_parse(tracking->id, &id))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a trigger of table \"%s\" has no argument of activity.track()",
						table),
				 errhint("Drop it and call activity.track().")));
	return tracking;
}

List *
act_tracking_read_sources(Jsonb *json)
{
	List	   *sources;

	act_json_begin();
	if (!JB_ROOT_IS_OBJECT(json))
		act_json_complain("columns", "an object of names and columns");
	sources = read_sources(json);
	act_json_end();
	return sources;
}

static void
read_object(ActTracking *tracking, Jsonb *json)
{
	Jsonb	   *part;
	char	   *on_unknown;
	JsonbValue	value;

	act_json_check_keys(json, tracking_keys, "rules");
	tracking->category = act_json_get_text(json, "category");
	tracking->categories = act_json_get_texts(json, "categories");
	tracking->id = act_json_get_text(json, "id");
	on_unknown = act_json_get_text(json, "on_unknown");
	tracking->strict = on_unknown && strcmp(on_unknown, "error") == 0;
	tracking->identity = act_json_get_texts(json, "identity");
	tracking->ignored = act_json_get_texts(json, "ignore");
	tracking->words = act_json_get_text(json, "words");
	tracking->replace = !act_json_get_bool(json, "preset", true);
	tracking->replica = act_json_get_bool(json, "replica", false);
	if ((part = act_json_get_container(json, "columns", false)) != NULL)
		tracking->sources = read_sources(part);
	if ((part = act_json_get_container(json, "states", false)) != NULL)
		read_states(tracking, part);
	if ((part = act_json_get_container(json, "needs", true)) != NULL)
		tracking->needs = read_needs(part);
	if ((part = act_json_get_container(json, "tiers", true)) != NULL)
		tracking->tiers = read_tiers(part);
	if ((part = act_json_get_container(json, "tier", false)) != NULL)
		read_tier(tracking, part);
	if ((part = act_json_get_container(json, "rules", true)) != NULL)
		tracking->rules = read_rules(part);
	if (act_json_get(json, "metadata", &value))
		tracking->extra_metadata = read_fields(&value, "metadata");
}

static List *
read_rules(Jsonb *json)
{
	List	   *rules = NIL;
	ListCell   *cell;

	foreach(cell, act_json_members(json))
		rules = lappend(rules, read_rule(act_json_part(value_of(lfirst(cell)))));
	return rules;
}

static List *
read_sources(Jsonb *json)
{
	List	   *sources = NIL;
	ListCell   *cell;

	foreach(cell, act_json_members(json))
	{
		ActJsonMember *member = lfirst(cell);
		ActSource  *source = palloc0(sizeof(ActSource));

		source->name = pstrdup(member->key);
		if (member->value.type == jbvNull)
			source->unused = true;
		else if (member->value.type == jbvBinary &&
				 JsonContainerIsObject(member->value.val.binary.data))
		{
			Jsonb	   *object = act_json_part(&member->value);
			JsonbValue	value;

			if (!act_json_get(object, "value", &value) ||
				value.type == jbvBinary)
				act_json_complain(member->key,
								  "a column, or {\"value\": a constant}");
			source->constant = JsonbValueToJsonb(&value);
		}
		else
			source->columns = act_json_read_texts(&member->value, member->key);
		sources = lappend(sources, source);
	}
	return sources;
}

ActSource *
act_tracking_source(const ActTracking *tracking, const char *name)
{
	ListCell   *cell;

	foreach(cell, tracking->sources)
		if (strcmp(((ActSource *) lfirst(cell))->name, name) == 0)
			return lfirst(cell);
	return NULL;
}

ActStateMachine *
act_tracking_machine(const ActTracking *tracking, const char *name)
{
	ListCell   *cell;

	foreach(cell, tracking->machines)
		if (strcmp(((ActStateMachine *) lfirst(cell))->name, name) == 0)
			return lfirst(cell);
	return NULL;
}

bool
act_tracking_has_word(const List *words, const char *word)
{
	ListCell   *cell;

	foreach(cell, words)
		if (strcmp(lfirst(cell), word) == 0)
			return true;
	return false;
}

char *
act_tracking_fold(const char *word, int len)
{
	char	   *folded;
	int			i;

	while (len > 0 && word[len - 1] == ' ')
		len--;
	while (len > 0 && *word == ' ')
		word++, len--;
	folded = pnstrdup(word, len);
	for (i = 0; i < len; i++)
		if (folded[i] == '-' || folded[i] == ' ')
			folded[i] = '_';
		else
			folded[i] = pg_ascii_tolower((unsigned char) folded[i]);
	return folded;
}

static JsonbValue *
value_of(void *member)
{
	return &((ActJsonMember *) member)->value;
}

static void
read_words(const JsonbValue *value, ActWords *words, const char *where)
{
	char	   *word;

	words->given = true;
	if (value->type == jbvBinary)
	{
		ListCell   *cell;

		if (!JsonContainerIsArray(value->val.binary.data))
			act_json_complain(where, "a value, or an array of values");
		foreach(cell, act_json_members(act_json_part((JsonbValue *) value)))
		{
			ActJsonMember *member = lfirst(cell);

			if (member->value.type == jbvBinary)
				act_json_complain(where, "a value, or an array of values");
			read_words(&member->value, words, where);
		}
		return;
	}
	word = act_json_text(value);
	if (word == NULL)
		words->null = true;
	else if (strcmp(word, "*") == 0)
		words->any = true;
	else if (strcmp(word, ">0") == 0)
		words->positive = true;
	else if (strcmp(word, "<0") == 0)
		words->negative = true;
	else
		words->words = lappend(words->words,
							   act_tracking_fold(word, strlen(word)));
}

/* A word and the state that it means, or a machine and its tests. */
static void
read_states(ActTracking *tracking, Jsonb *json)
{
	ListCell   *cell;

	foreach(cell, act_json_members(json))
	{
		ActJsonMember *member = lfirst(cell);

		if (member->value.type == jbvString)
		{
			ActStateTest *test = palloc0(sizeof(ActStateTest));

			test->is.given = true;
			test->is.words = list_make1(act_tracking_fold(member->key,
														  strlen(member->key)));
			test->state = act_json_text(&member->value);
			tracking->extra_words = lappend(tracking->extra_words, test);
		}
		else if (member->value.type == jbvBinary &&
				 JsonContainerIsArray(member->value.val.binary.data))
		{
			ActStateMachine *machine = palloc0(sizeof(ActStateMachine));

			machine->name = pstrdup(member->key);
			machine->tests = read_tests(act_json_part(&member->value));
			tracking->machines = lappend(tracking->machines, machine);
		}
		else
			act_json_complain(member->key, "the state that the word means");
	}
}

/* [column, values, state] or, always true, [state]. */
static List *
read_tests(Jsonb *json)
{
	List	   *tests = NIL;
	ListCell   *cell;

	foreach(cell, act_json_members(json))
	{
		ActJsonMember *member = lfirst(cell);
		ActStateTest *test = palloc0(sizeof(ActStateTest));
		List	   *parts;

		if (member->value.type != jbvBinary ||
			!JsonContainerIsArray(member->value.val.binary.data))
			act_json_complain("states", "arrays of [column, values, state]");
		parts = act_json_members(act_json_part(&member->value));
		if (list_length(parts) != 1 && list_length(parts) != 3)
			act_json_complain("states", "arrays of [column, values, state]");
		test->state = act_json_text(value_of(llast(parts)));
		if (list_length(parts) == 3)
		{
			test->name = act_json_text(value_of(linitial(parts)));
			if (test->name == NULL)
				act_json_complain("states",
								  "arrays of [column, values, state]");
			read_words(value_of(lsecond(parts)), &test->is, "states");
		}
		if (test->state == NULL)
			act_json_complain("states", "arrays of [column, values, state]");
		tests = lappend(tests, test);
	}
	return tests;
}

static List *
read_needs(Jsonb *json)
{
	List	   *needs = NIL;
	ListCell   *cell;

	foreach(cell, act_json_members(json))
		needs = lappend(needs,
						act_json_read_texts(value_of(lfirst(cell)), "needs"));
	return needs;
}

/* "pro", or {"pro": "premium"}. */
static List *
read_tiers(Jsonb *json)
{
	List	   *tiers = NIL;
	ListCell   *cell;

	foreach(cell, act_json_members(json))
	{
		JsonbValue *value = value_of(lfirst(cell));
		ActTierWord *word = palloc0(sizeof(ActTierWord));
		ActTier		tier;
		char	   *name = act_json_text(value);
		char	   *means = name;

		if (name == NULL)
		{
			List	   *pair;

			if (value->type != jbvBinary ||
				!JsonContainerIsObject(value->val.binary.data) ||
				list_length(pair = act_json_members(act_json_part(value))) != 1)
				act_json_complain("tiers",
								  "an array of words or of {\"word\": \"tier\"}");
			name = ((ActJsonMember *) linitial(pair))->key;
			means = act_json_text(value_of(linitial(pair)));
			if (means == NULL || !act_tier_parse(means, strlen(means), &tier))
				act_json_complain("tiers", "of free, premium or enterprise");
		}
		word->word = act_tracking_fold(name, strlen(name));
		word->tier = act_tier_parse(means, strlen(means), &tier) ? (int) tier : -1;
		tiers = lappend(tiers, word);
	}
	return tiers;
}

static void
read_tier(ActTracking *tracking, Jsonb *json)
{
	tracking->tier_name = act_json_get_text(json, "column");
	tracking->tier_machine = act_json_get_text(json, "state");
	tracking->tier_live = act_json_get_texts(json, "live");
}

static ActRule *
read_rule(Jsonb *json)
{
	ActRule    *rule = palloc0(sizeof(ActRule));
	Jsonb	   *part;
	JsonbValue	value;
	ListCell   *cell;

	if (!JB_ROOT_IS_OBJECT(json))
		act_json_complain("rules", "an array of objects");
	act_json_check_keys(json, rule_keys, "rules");
	rule->event = act_json_get_text(json, "event");
	if (rule->event == NULL)
		act_json_complain("event", "the event type of the rule");
	rule->only = act_json_get_text(json, "only");
	rule->optional = act_json_get_bool(json, "optional", false);
	foreach(cell, act_json_get_texts(json, "on"))
	{
		char	   *operation = act_tracking_fold(lfirst(cell),
												  strlen(lfirst(cell)));

		if (strcmp(operation, "insert") == 0)
			rule->operations |= ACT_ON_INSERT;
		else if (strcmp(operation, "update") == 0)
			rule->operations |= ACT_ON_UPDATE;
		else if (strcmp(operation, "delete") == 0)
			rule->operations |= ACT_ON_DELETE;
		else
			act_json_complain("on", "insert, update or delete");
	}
	if ((part = act_json_get_container(json, "when", false)) != NULL)
		rule->conditions = read_conditions(part);
	rule->changed = act_json_get_texts(json, "changed");
	if (act_tracking_has_word(rule->changed, "*"))
	{
		rule->any_change = true;
		rule->changed = NIL;
	}
	if (act_json_get(json, "subject", &value))
	{
		rule->subject_given = true;
		rule->subject = read_fields(&value, "subject");
	}
	if (act_json_get(json, "metadata", &value))
		rule->metadata = read_fields(&value, "metadata");
	return rule;
}

static List *
read_conditions(Jsonb *json)
{
	List	   *conditions = NIL;
	ListCell   *cell;

	foreach(cell, act_json_members(json))
	{
		ActJsonMember *member = lfirst(cell);
		ActCondition *condition = palloc0(sizeof(ActCondition));
		Jsonb	   *object;
		JsonbValue	value;
		JsonbContainer *root;
		char	   *moved;

		condition->name = pstrdup(member->key);
		conditions = lappend(conditions, condition);
		if (member->value.type != jbvBinary ||
			!JsonContainerIsObject(member->value.val.binary.data))
		{
			/* Shorthand: a value, or several, that it is. */
			read_words(&member->value, &condition->is, member->key);
			continue;
		}
		object = act_json_part(&member->value);
		root = &object->root;
		act_json_check_keys(object, condition_keys, member->key);
		if (getKeyJsonValueFromContainer(root, "from", 4, &value))
			read_words(&value, &condition->from, "from");
		if (getKeyJsonValueFromContainer(root, "to", 2, &value))
			read_words(&value, &condition->to, "to");
		if (getKeyJsonValueFromContainer(root, "is", 2, &value))
			read_words(&value, &condition->is, "is");
		if (getKeyJsonValueFromContainer(root, "was", 3, &value))
			read_words(&value, &condition->was, "was");
		condition->changed = act_json_get_bool(object, "changed", false);
		moved = act_json_get_text(object, "moved");
		if (moved && strcmp(moved, "up") == 0)
			condition->moved = 1;
		else if (moved && strcmp(moved, "down") == 0)
			condition->moved = -1;
		else if (moved)
			act_json_complain("moved", "up or down");
	}
	return conditions;
}

/* {"field": source}, or an array of names that are field and source. */
static List *
read_fields(const JsonbValue *value, const char *where)
{
	List	   *fields = NIL;
	ListCell   *cell;

	if (value->type != jbvBinary)
		act_json_complain(where, "an object of fields, or an array of names");
	foreach(cell, act_json_members(act_json_part((JsonbValue *) value)))
	{
		ActJsonMember *member = lfirst(cell);
		ActField   *field = palloc0(sizeof(ActField));

		if (member->key)
		{
			field->name = pstrdup(member->key);
			read_field_source(field, &member->value);
		}
		else
		{
			if (member->value.type != jbvString)
				act_json_complain(where,
								  "an object of fields, or an array of names");
			field->name = act_json_text(&member->value);
			field->sources = list_make1(field->name);
		}
		fields = lappend(fields, field);
	}
	return fields;
}

static void
read_field_source(ActField *field, JsonbValue *value)
{
	static const struct
	{
		const char *key;
		ActFieldKind kind;
	}			kinds[] = {
		{"abs", ACT_FIELD_ABS}, {"difference", ACT_FIELD_DIFFERENCE},
		{"first", ACT_FIELD_FIRST}, {"old", ACT_FIELD_OLD}
	};
	const char *const expected =
		"a name, \"old.\" and a name, or one of {\"value\": ...}, {\"abs\": name}, "
		"{\"difference\": name}, {\"first\": [names]}";
	Jsonb	   *object;
	JsonbValue	part;
	int			i;

	if (value->type == jbvString)
	{
		char	   *name = act_json_text(value);

		if (strncmp(name, "old.", 4) == 0)
		{
			field->kind = ACT_FIELD_OLD;
			name += 4;
		}
		field->sources = list_make1(name);
		return;
	}
	if (value->type != jbvBinary ||
		!JsonContainerIsObject(value->val.binary.data))
		act_json_complain(field->name, expected);
	object = act_json_part(value);
	if (getKeyJsonValueFromContainer(&object->root, "value", 5, &part))
	{
		field->kind = ACT_FIELD_VALUE;
		field->value = JsonbValueToJsonb(&part);
		return;
	}
	for (i = 0; i < lengthof(kinds); i++)
		if (act_json_get(object, kinds[i].key, &part))
		{
			field->kind = kinds[i].kind;
			field->sources = act_json_read_texts(&part, field->name);
			if (list_length(field->sources) == 1 ||
				field->kind == ACT_FIELD_FIRST)
				return;
		}
	act_json_complain(field->name, expected);
}
