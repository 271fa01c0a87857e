/*
 * track/plan.c
 *		Plans: kept per backend and trigger, built anew after the table or its
 *		trigger was altered.
 *
 * Partitions have triggers of their own, with the same argument but perhaps
 * other column numbers, hence a plan per trigger and not per argument.
 */
#include "activity.h"

#include "taxonomy/taxonomy.h"
#include "track/plan.h"

#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

/* A plan has some 25 kB. */
static ActPool plans = {.max = 1000};

static Oid	definitions_relid = InvalidOid; /* of the application's event types */

/* While a plan is being built: of which table, and whether it changed meanwhile. */
static Oid	building = InvalidOid;
static bool disturbed = false;

static void forget(Oid relid);
static ActPlan *build(Relation table, Oid trigger, const char *argument);
static void bind_columns(ActPlan *plan, Relation table);
static void bind_all(ActPlan *plan, Relation table);
static void bind_machines(ActPlan *plan);
static int	bind_state(ActPlanMachine *machine, const char *state);
static void bind_rules(ActPlan *plan);
static bool bind_rule(ActPlan *plan, const ActRule *rule, ActPlanRule *bound);
static bool bind_conditions(ActPlan *plan, const ActRule *rule,
							ActPlanRule *bound);
static uint64 bind_states(ActPlanMachine *machine, const ActWords *words);
static List *new_required(const ActRule *rule, const ActEventType *type);
static ActPlanField *bind_fields(ActPlan *plan, const List *fields,
								 const ActEventType *type, int *nbound);
static void bind_tier(ActPlan *plan);
static void watch(ActPlan *plan, int column);
static int	find_machine(const ActPlan *plan, const char *name);

void
act_tracking_plan_init(void)
{
	act_pool_init(&plans);
	act_cache_subscribe(forget);
}

ActPlan *
act_tracking_plan_hold(Relation table, Oid trigger, const char *argument)
{
	ActPlan    *plan = (ActPlan *) act_pool_find(&plans, trigger);

	if (likely(plan != NULL))
	{
		act_pool_pin(&plan->pooled);
		return plan;
	}
	building = RelationGetRelid(table);
	disturbed = false;
	plan = build(table, trigger, argument);
	act_pool_add(&plans, &plan->pooled);
	act_pool_pin(&plan->pooled);

	/* Then it is good for this call, but the next one builds it anew. */
	if (disturbed)
		act_pool_forget(&plans, building);
	return plan;
}

Oid
act_tracking_plan_function(void)
{
	oidvector  *arguments = buildoidvector(NULL, 0);
	Oid			namespace = get_namespace_oid("_activity", false);
	Oid			function;

	function = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
							   CStringGetDatum("capture_row"),
							   PointerGetDatum(arguments),
							   ObjectIdGetDatum(namespace));
	if (!OidIsValid(function))
		elog(ERROR, "function _activity.capture_row() does not exist");
	return function;
}

int
act_tracking_plan_column(const ActPlan *plan, const char *name)
{
	int			i;

	for (i = 0; i < plan->ncolumns; i++)
		if (strcmp(plan->columns[i].name, name) == 0)
			return i;
	return -1;
}

static void
forget(Oid relid)
{
	bool		all = !OidIsValid(relid) || relid == definitions_relid;

	act_pool_forget(&plans, all ? InvalidOid : relid);
	disturbed |= all || relid == building;
}

/* A failure leaves nothing behind but memory of the transaction. */
static ActPlan *
build(Relation table, Oid trigger, const char *argument)
{
	MemoryContext context = AllocSetContextCreate(CurTransactionContext,
												  "activity tracking plan",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	ActPlan    *plan = palloc0(sizeof(ActPlan));
	ListCell   *cell;

	plan->pooled.key = trigger;
	plan->pooled.relid = RelationGetRelid(table);
	plan->pooled.context = context;
	plan->table = pstrdup(RelationGetRelationName(table));
	plan->argument = pstrdup(argument);
	definitions_relid = get_relname_relid("event_type_definition",
										  get_namespace_oid("_activity", false));
	plan->tracking = act_tracking_read_argument(argument, plan->table);
	plan->tier = -1;
	plan->tier_machine = -1;
	bind_columns(plan, table);
	plan->organization = act_tracking_plan_column(plan, "organization");
	if (plan->organization >= 0)
		watch(plan, plan->organization);
	plan->identity = palloc(sizeof(int) * list_length(plan->tracking->identity));
	foreach(cell, plan->tracking->identity)
	{
		int			column = act_tracking_plan_column(plan, lfirst(cell));

		if (column < 0)
			continue;
		plan->identity[plan->nidentity++] = column;
		watch(plan, column);
	}
	bind_machines(plan);
	bind_rules(plan);
	bind_tier(plan);
	if (plan->any_change)
		bind_all(plan, table);
	MemoryContextSwitchTo(old);
	return plan;
}

static void
bind_columns(ActPlan *plan, Relation table)
{
	ListCell   *cell;

	plan->columns = palloc0(sizeof(ActPlanColumn) *
							list_length(plan->tracking->sources));
	plan->watched = palloc(sizeof(int) * list_length(plan->tracking->sources));
	foreach(cell, plan->tracking->sources)
	{
		ActSource  *source = lfirst(cell);
		ActPlanColumn *column = &plan->columns[plan->ncolumns++];
		ListCell   *part;

		column->name = source->name;
		if (source->constant)
		{
			(void) JsonbExtractScalar(&source->constant->root,
									  &column->constant);
			column->constant_text =
				column->constant.type == jbvString ?
				pnstrdup(column->constant.val.string.val,
						 column->constant.val.string.len) :
				column->constant.type == jbvNull ? NULL :
				JsonbToCString(NULL, &source->constant->root,
							   VARSIZE(source->constant));
			continue;
		}
		column->parts = palloc0(sizeof(AttrNumber) * list_length(source->columns));
		column->types = palloc0(sizeof(ActValueType) * list_length(source->columns));
		foreach(part, source->columns)
		{
			int			i = column->nparts++;

			column->parts[i] = get_attnum(RelationGetRelid(table), lfirst(part));
			/* A system column is none that could be recorded. */
			if (column->parts[i] <= 0)
			{
				column->parts[i] = InvalidAttrNumber;
				plan->lost = psprintf("column \"%s\" is gone",
									  (char *) lfirst(part));
			}
			else
				act_value_learn(&column->types[i],
								TupleDescAttr(RelationGetDescr(table),
											  column->parts[i] - 1)->atttypid,
								plan->pooled.context);
		}
	}
}

static void
bind_all(ActPlan *plan, Relation table)
{
	TupleDesc	desc = RelationGetDescr(table);
	int			i;

	plan->all = palloc(sizeof(AttrNumber) * desc->natts);
	for (i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (!attribute->attisdropped &&
			!act_tracking_has_word(plan->tracking->ignored,
								   NameStr(attribute->attname)))
			plan->all[plan->nall++] = attribute->attnum;
	}
}

static void
bind_machines(ActPlan *plan)
{
	ListCell   *cell;

	plan->machines = palloc0(sizeof(ActPlanMachine) *
							 list_length(plan->tracking->machines));
	foreach(cell, plan->tracking->machines)
	{
		ActStateMachine *machine = lfirst(cell);
		ActPlanMachine *bound = &plan->machines[plan->nmachines++];
		ListCell   *test_cell;

		bound->name = machine->name;
		bound->states[bound->nstates++] = ACT_STATE_ABSENT;
		bound->states[bound->nstates++] = ACT_STATE_UNKNOWN;
		bound->tests = palloc0(sizeof(ActPlanTest) * list_length(machine->tests));
		foreach(test_cell, machine->tests)
		{
			ActStateTest *test = lfirst(test_cell);
			ActPlanTest *into = &bound->tests[bound->ntests];

			into->column = -1;
			if (test->name)
			{
				into->column = act_tracking_plan_column(plan, test->name);
				if (into->column < 0)
					continue;
				watch(plan, into->column);
			}
			into->is = &test->is;
			into->state = bind_state(bound, test->state);
			bound->ntests++;
		}
	}
}

/* The number of a state, made if need be. */
static int
bind_state(ActPlanMachine *machine, const char *state)
{
	int			i;

	for (i = 0; i < machine->nstates; i++)
		if (strcmp(machine->states[i], state) == 0)
			return i;
	if (machine->nstates == ACT_STATES_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("\"%s\" has more than %d states", machine->name,
						ACT_STATES_MAX)));
	machine->states[machine->nstates] = state;
	return machine->nstates++;
}

static void
bind_rules(ActPlan *plan)
{
	ListCell   *cell;

	plan->rules = palloc0(sizeof(ActPlanRule) *
						  list_length(plan->tracking->rules));
	foreach(cell, plan->tracking->rules)
	{
		ActPlanRule bound = {0};

		if (bind_rule(plan, lfirst(cell), &bound))
			plan->rules[plan->nrules++] = bound;
	}
}

/*
 * False when it speaks of what does not exist: then it never fires.  Its columns
 * are watched all the same, so that what it misses is noted.
 */
static bool
bind_rule(ActPlan *plan, const ActRule *rule, ActPlanRule *bound)
{
	const ActEventType *type;
	ListCell   *cell;

	bound->operations = act_tracking_operations(plan->tracking, rule);
	bound->any_change = rule->any_change;
	plan->any_change |= rule->any_change;
	if (!bind_conditions(plan, rule, bound))
		return false;
	bound->changed = palloc(sizeof(int) * list_length(rule->changed));
	foreach(cell, rule->changed)
	{
		int			column = act_tracking_plan_column(plan, lfirst(cell));

		if (column < 0)
			continue;
		bound->changed[bound->nchanged++] = column;
		watch(plan, column);
	}
	type = act_taxonomy_find(rule->event, strlen(rule->event));
	if (type == NULL)
	{
		plan->lost = psprintf("event type %s does not exist", rule->event);
		return false;
	}
	bound->type = type->code;
	bound->subject_kind = type->subject_kind ? pstrdup(type->subject_kind) : NULL;
	bound->metadata = bind_fields(plan, rule->metadata, type, &bound->nmetadata);
	bound->subject = bind_fields(plan,
								 list_concat_copy(rule->subject,
												  new_required(rule, type)),
								 type, &bound->nsubject);
	return rule->changed == NIL || bound->nchanged > 0;
}

static bool
bind_conditions(ActPlan *plan, const ActRule *rule, ActPlanRule *bound)
{
	ListCell   *cell;

	bound->conditions = palloc0(sizeof(ActPlanCondition) *
								list_length(rule->conditions));
	foreach(cell, rule->conditions)
	{
		const ActCondition *condition = lfirst(cell);
		ActPlanCondition *into = &bound->conditions[bound->nconditions++];
		int			machine = find_machine(plan, condition->name);

		into->condition = condition;
		into->change = condition->changed || condition->from.given ||
			condition->to.given;
		into->machine = machine >= 0;
		into->index = into->machine ? machine :
			act_tracking_plan_column(plan, condition->name);
		if (into->index < 0)
			return false;
		if (into->machine)
		{
			into->from = bind_states(&plan->machines[machine], &condition->from);
			into->to = bind_states(&plan->machines[machine], &condition->to);
			into->is = bind_states(&plan->machines[machine], &condition->is);
			into->was = bind_states(&plan->machines[machine], &condition->was);
		}
		else
			watch(plan, into->index);
	}
	return true;
}

static uint64
bind_states(ActPlanMachine *machine, const ActWords *words)
{
	uint64		set = 0;
	ListCell   *cell;

	if (!words->given || words->any)
		return ~UINT64CONST(0);
	foreach(cell, words->words)
		set |= UINT64CONST(1) << bind_state(machine, lfirst(cell));
	return set;
}

/* What the type came to require after the table was tracked: it has no source. */
static List *
new_required(const ActRule *rule, const ActEventType *type)
{
	List	   *fields = list_concat_copy(rule->subject, rule->metadata);
	List	   *missing = NIL;
	ListCell   *cell;
	int			i;

	for (i = 0; i < type->nrequired; i++)
	{
		ActField   *field;
		bool		found = false;

		foreach(cell, fields)
			if (strcmp(((ActField *) lfirst(cell))->name, type->required[i]) == 0)
				found = true;
		if (found)
			continue;
		field = palloc0(sizeof(ActField));
		field->name = pstrdup(type->required[i]);
		missing = lappend(missing, field);
	}
	return missing;
}

static ActPlanField *
bind_fields(ActPlan *plan, const List *fields, const ActEventType *type,
			int *nbound)
{
	ActPlanField *bound = palloc0(sizeof(ActPlanField) * list_length(fields));
	ListCell   *cell;

	foreach(cell, fields)
	{
		const ActField *field = lfirst(cell);
		ActPlanField *into = &bound[(*nbound)++];
		ListCell   *source;
		int			i;

		into->field = field;
		into->sources = palloc(sizeof(int) * list_length(field->sources));
		foreach(source, field->sources)
		{
			int			column = act_tracking_plan_column(plan, lfirst(source));

			if (column >= 0)
				into->sources[into->nsources++] = column;
		}
		for (i = 0; i < type->nrequired; i++)
			if (strcmp(type->required[i], field->name) == 0)
				into->required = true;
	}
	return bound;
}

static void
bind_tier(ActPlan *plan)
{
	const ActTracking *tracking = plan->tracking;
	ListCell   *cell;

	/* Whose tier would that be? */
	if (tracking->tier_name == NULL || plan->organization < 0)
		return;
	plan->tier = act_tracking_plan_column(plan, tracking->tier_name);
	if (plan->tier < 0)
		return;
	watch(plan, plan->tier);
	if (tracking->tier_machine == NULL)
		return;
	plan->tier_machine = find_machine(plan, tracking->tier_machine);
	if (plan->tier_machine < 0)
		return;
	foreach(cell, tracking->tier_live)
		plan->tier_live |= UINT64CONST(1) <<
		bind_state(&plan->machines[plan->tier_machine], lfirst(cell));
}

static void
watch(ActPlan *plan, int column)
{
	int			i;

	for (i = 0; i < plan->nwatched; i++)
		if (plan->watched[i] == column)
			return;
	if (plan->columns[column].nparts > 0)
		plan->watched[plan->nwatched++] = column;
}

static int
find_machine(const ActPlan *plan, const char *name)
{
	int			i;

	for (i = 0; i < plan->nmachines; i++)
		if (strcmp(plan->machines[i].name, name) == 0)
			return i;
	return -1;
}
