/*
 * track/preset_generic.c
 *		Tracking for categories without a preset: their actions are the values of
 *		a status column, or say by their names what they are.
 */
#include "activity.h"

#include "track/preset.h"
#include "taxonomy/taxonomy.h"

#include "utils/builtins.h"

static const char *const insert_actions[] = {
	"created", "added", "submitted", "received", "opened", "registered",
	"issued", "joined", "sent", "started", "placed", NULL
};
static const char *const delete_actions[] = {"deleted", "removed", NULL};

/* Columns that are said where the table has them. */
static const char *const subject_columns[] = {
	"name", "title", "email", "url", "number", "status", NULL
};
static const char *const metadata_columns[] = {
	"amount", "currency", "model", "error", "reason", NULL
};

static bool is_one_of(const char *word, const char *const *words);
static void add_source(ActTracking *tracking, const char *name,
					   const char *const *columns);
static void add_test(ActStateMachine *machine, const char *word,
					 const char *state);
static ActRule *add_rule(ActTracking *tracking, const ActEventType *type);
static ActField *make_field(const char *name, const char *source,
							ActFieldKind kind);
static void add_state_rule(ActRule *rule, const char *action, bool removal);

/*
 * One rule for each action of the category: created, added and their like fire
 * on INSERT, deleted and removed on DELETE, updated on any change,
 * status_changed when the status changes, all others when the status becomes
 * that word.  Throws when there is no such category.
 */
ActTracking *
act_preset_generic(const char *category)
{
	static const char *const status_columns[] = {"status", "state", NULL};
	ActTracking *tracking = palloc0(sizeof(ActTracking));
	ActStateMachine *machine = palloc0(sizeof(ActStateMachine));
	int32	   *codes = NULL;
	int			ncodes = 0;
	bool		any_status = false;
	int			i;

	act_taxonomy_match(psprintf("%s.*", category), &codes, &ncodes);
	add_source(tracking, "status", status_columns);
	tracking->words = pstrdup("status");
	machine->name = pstrdup("state");
	tracking->machines = list_make1(machine);
	for (i = 0; i < ncodes; i++)
	{
		const ActEventType *type = act_taxonomy_require_code(codes[i]);
		char	   *action;
		ActRule    *rule;

		if (pg_strcasecmp(type->category, category) != 0)
			continue;
		action = pstrdup(type->action);
		rule = add_rule(tracking, type);
		if (strcmp(action, "updated") == 0)
		{
			rule->operations = ACT_ON_UPDATE;
			rule->any_change = true;
		}
		else if (strcmp(action, "status_changed") == 0)
		{
			rule->operations = ACT_ON_UPDATE;
			rule->changed = list_make1(pstrdup("status"));
			any_status = true;
		}
		else if (is_one_of(action, insert_actions))
		{
			rule->operations = ACT_ON_INSERT;
			add_test(machine, action, action);
		}
		else
		{
			add_test(machine, action, action);
			add_state_rule(rule, action, is_one_of(action, delete_actions));
		}
	}
	add_test(machine, NULL, "none");
	add_test(machine, "*", any_status ? "other" : ACT_STATE_UNKNOWN);
	machine->tests = lappend(machine->tests, palloc0(sizeof(ActStateTest)));
	((ActStateTest *) llast(machine->tests))->state = pstrdup("present");
	return tracking;
}

static bool
is_one_of(const char *word, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(word, *words) == 0)
			return true;
	return false;
}

static void
add_source(ActTracking *tracking, const char *name, const char *const *columns)
{
	ActSource  *source;

	if (act_tracking_source(tracking, name))
		return;
	source = palloc0(sizeof(ActSource));
	source->name = pstrdup(name);
	if (columns == NULL)
		source->columns = list_make1(pstrdup(name));
	for (; columns && *columns; columns++)
		source->columns = lappend(source->columns, pstrdup(*columns));
	tracking->sources = lappend(tracking->sources, source);
}

/* NULL is null, "*" any other word. */
static void
add_test(ActStateMachine *machine, const char *word, const char *state)
{
	ActStateTest *test = palloc0(sizeof(ActStateTest));

	test->name = pstrdup("status");
	test->is.given = true;
	if (word == NULL)
		test->is.null = true;
	else if (strcmp(word, "*") == 0)
		test->is.any = true;
	else
		test->is.words = list_make1(act_tracking_fold(word, strlen(word)));
	test->state = pstrdup(state);
	machine->tests = lappend(machine->tests, test);
}

static ActRule *
add_rule(ActTracking *tracking, const ActEventType *type)
{
	ActRule    *rule = palloc0(sizeof(ActRule));
	int			i;

	rule->event = pstrdup(type->key);
	rule->optional = true;
	rule->subject_given = true;
	rule->subject = list_make1(make_field("id", "id", ACT_FIELD_NEW));
	for (i = 0; subject_columns[i]; i++)
	{
		add_source(tracking, subject_columns[i], NULL);
		rule->subject = lappend(rule->subject,
								make_field(subject_columns[i],
										   subject_columns[i], ACT_FIELD_NEW));
	}
	for (i = 0; metadata_columns[i]; i++)
	{
		add_source(tracking, metadata_columns[i], NULL);
		rule->metadata = lappend(rule->metadata,
								 make_field(metadata_columns[i],
											metadata_columns[i], ACT_FIELD_NEW));
	}
	for (i = 0; i < type->nrequired; i++)
		if (!is_one_of(type->required[i], subject_columns) &&
			!is_one_of(type->required[i], metadata_columns))
		{
			add_source(tracking, type->required[i], NULL);
			rule->subject = lappend(rule->subject,
									make_field(type->required[i],
											   type->required[i],
											   ACT_FIELD_NEW));
		}
	rule->metadata = lappend(rule->metadata,
							 make_field("previous_status", "status",
										ACT_FIELD_OLD));
	tracking->rules = lappend(tracking->rules, rule);
	return rule;
}

static ActField *
make_field(const char *name, const char *source, ActFieldKind kind)
{
	ActField   *field = palloc0(sizeof(ActField));

	field->name = pstrdup(name);
	field->kind = kind;
	field->sources = list_make1(pstrdup(source));
	return field;
}

static void
add_state_rule(ActRule *rule, const char *action, bool removal)
{
	ActCondition *condition = palloc0(sizeof(ActCondition));

	condition->name = pstrdup("state");
	condition->to.given = true;
	condition->to.words = list_make1(pstrdup(action));
	if (removal)
		condition->to.words = lappend(condition->to.words,
									  pstrdup(ACT_STATE_ABSENT));
	rule->conditions = list_make1(condition);
}
