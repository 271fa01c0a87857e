/*
 * track/preset_rule.c
 *		Keeps the rules that a table can serve, completes and checks them.
 *
 * A preset's rule that asks for a column which the table lacks is left out; the
 * caller's own must work, and a mistake in one is an error that says what to
 * change.
 */
#include "activity.h"

#include "track/preset.h"
#include "taxonomy/taxonomy.h"

#include "utils/builtins.h"
#include "utils/lsyscache.h"

typedef struct Checked
{
	Relation	table;
	ActTracking *tracking;
	ActRule    *rule;
	bool		given;			/* by the caller */
} Checked;

static bool check_rule(Checked *check);
static bool check_conditions(Checked *check);
static bool check_changed(Checked *check);
static void check_operations(Checked *check);
static bool machine_says(const ActTracking *tracking, const char *name,
						 const ActWords *words);
static List *check_fields(Checked *check, List *fields);
static bool check_required(Checked *check);
static bool has_field(const List *fields, const char *name);
static bool knows(Checked *check, const char *name);
static void add_field(List **fields, const char *name);

void
act_preset_check_rules(Relation table, ActTracking *tracking,
					   const List *given)
{
	ActRule		every = {.event = "every event"};
	Checked		extra = {table, tracking, &every, true};
	ListCell   *cell;

	tracking->extra_metadata = check_fields(&extra, tracking->extra_metadata);
	foreach(cell, tracking->rules)
	{
		Checked		check = {table, tracking, lfirst(cell)};

		check.given = list_member_ptr(given, check.rule);
		if (!check_rule(&check))
			tracking->rules = foreach_delete_current(tracking->rules, cell);
	}
	if (tracking->rules == NIL)
		act_preset_complain(table, tracking->category,
							"no rule of the category can work with its columns",
							"status", NIL);
}

/* False for a rule of a preset that has no place here. */
static bool
check_rule(Checked *check)
{
	ActRule    *rule = check->rule;
	const ActTracking *tracking = check->tracking;

	if (rule->only && strcmp(rule->only, tracking->category) != 0)
		return false;
	if (rule->event[0] == '@')
		rule->event = psprintf("%s%s", tracking->category, rule->event + 1);

	rule->event = pstrdup(act_taxonomy_require(rule->event,
											   strlen(rule->event))->key);
	if (!check_conditions(check) || !check_changed(check))
		return false;
	if (!rule->subject_given)
		add_field(&rule->subject, "id");
	rule->metadata = list_concat(rule->metadata,
								 list_copy(tracking->extra_metadata));
	rule->subject = check_fields(check, rule->subject);
	rule->metadata = check_fields(check, rule->metadata);
	if (!check_required(check))
		return false;
	rule->operations = act_tracking_operations(tracking, rule);
	check_operations(check);
	return rule->operations != 0;
}

static bool
check_conditions(Checked *check)
{
	ListCell   *cell;

	foreach(cell, check->rule->conditions)
	{
		ActCondition *condition = lfirst(cell);

		if (act_tracking_machine(check->tracking, condition->name))
		{
			/* A state that no column can say makes no rule. */
			if (!check->given &&
				(!machine_says(check->tracking, condition->name, &condition->to) ||
				 !machine_says(check->tracking, condition->name, &condition->from)))
				return false;
			continue;
		}
		if (knows(check, condition->name))
			continue;
		if (!check->given)
			return false;
		act_preset_complain(check->table, check->tracking->category,
							psprintf("the rule for %s speaks of \"%s\"",
									 check->rule->event, condition->name),
							condition->name, NIL);
	}
	return true;
}

static bool
check_changed(Checked *check)
{
	ActRule    *rule = check->rule;
	bool		asked = rule->changed != NIL;
	ListCell   *cell;

	foreach(cell, rule->changed)
	{
		if (knows(check, lfirst(cell)))
			continue;
		if (check->given)
			act_preset_complain(check->table, check->tracking->category,
								psprintf("the rule for %s speaks of \"%s\"",
										 rule->event, (char *) lfirst(cell)),
								lfirst(cell), NIL);
		rule->changed = foreach_delete_current(rule->changed, cell);
	}
	return !asked || rule->changed != NIL;
}

/* A rule for updates says which: else it fires on every one. */
static void
check_operations(Checked *check)
{
	ActRule    *rule = check->rule;
	bool		change = rule->any_change || rule->changed;
	ListCell   *cell;

	if (!check->given)
		return;
	if (rule->operations == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the rule for %s can never fire", rule->event),
				 errdetail("Its operations and its conditions exclude one another.")));
	foreach(cell, rule->conditions)
	{
		ActCondition *condition = lfirst(cell);

		change |= condition->changed || condition->moved ||
			condition->from.given || condition->to.given;
	}
	if ((rule->operations & ACT_ON_UPDATE) && !change)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the rule for %s says of no column that it changes",
						rule->event),
				 errhint("Add \"on\": \"insert\", a condition with \"to\", or \"changed\": \"*\" for any column.")));
}

/* Whether some test of the machine leads to a state of the set. */
static bool
machine_says(const ActTracking *tracking, const char *name,
			 const ActWords *words)
{
	ActStateMachine *machine = act_tracking_machine(tracking, name);
	ListCell   *cell;

	if (!words->given || words->any || act_tracking_has_word(words->words, ACT_STATE_ABSENT))
		return true;
	foreach(cell, machine->tests)
		if (act_tracking_has_word(words->words,
								  ((ActStateTest *) lfirst(cell))->state))
			return true;
	return false;
}

/* The fields that the table can fill. */
static List *
check_fields(Checked *check, List *fields)
{
	List	   *kept = NIL;
	ListCell   *cell;
	ListCell   *source;

	foreach(cell, fields)
	{
		ActField   *field = lfirst(cell);
		List	   *sources = NIL;

		if (field->kind == ACT_FIELD_VALUE)
		{
			kept = lappend(kept, field);
			continue;
		}
		foreach(source, field->sources)
			if (knows(check, lfirst(source)))
				sources = lappend(sources, lfirst(source));
			else if (check->given && strcmp(lfirst(source), "id") != 0)
				act_preset_complain(check->table, check->tracking->category,
									psprintf("the rule for %s takes \"%s\" from \"%s\"",
											 check->rule->event, field->name,
											 (char *) lfirst(source)),
									lfirst(source), NIL);
		if (sources == NIL)
			continue;
		field->sources = sources;
		kept = lappend(kept, field);
	}
	return kept;
}

/* What the event type requires must have a column. */
static bool
check_required(Checked *check)
{
	ActRule    *rule = check->rule;
	const ActEventType *type = act_taxonomy_require(rule->event,
													strlen(rule->event));
	List	   *required = NIL;
	ListCell   *cell;
	int			i;

	for (i = 0; i < type->nrequired; i++)
		required = lappend(required, pstrdup(type->required[i]));
	foreach(cell, required)
	{
		char	   *name = lfirst(cell);

		if (has_field(rule->subject, name) || has_field(rule->metadata, name))
			continue;
		if (check->given && knows(check, name))
			add_field(&rule->subject, name);
		else if (rule->optional && !check->given)
			return false;
		else
			act_preset_complain(check->table, check->tracking->category,
								psprintf("%s requires \"%s\"", rule->event, name),
								name, NIL);
	}
	return true;
}

static bool
has_field(const List *fields, const char *name)
{
	ListCell   *cell;

	foreach(cell, fields)
		if (strcmp(((ActField *) lfirst(cell))->name, name) == 0)
			return true;
	return false;
}

/* Whether a name has a source; the caller's names may be columns themselves. */
static bool
knows(Checked *check, const char *name)
{
	ActSource  *source = act_tracking_source(check->tracking, name);

	if (source)
		return !source->unused;
	if (!check->given ||
		get_attnum(RelationGetRelid(check->table), name) <= 0)
		return false;
	source = palloc0(sizeof(ActSource));
	source->name = pstrdup(name);
	source->columns = list_make1(pstrdup(name));
	check->tracking->sources = lappend(check->tracking->sources, source);
	return true;
}

static void
add_field(List **fields, const char *name)
{
	ActField   *field = palloc0(sizeof(ActField));

	field->name = pstrdup(name);
	field->sources = list_make1(field->name);
	*fields = lappend(*fields, field);
}
