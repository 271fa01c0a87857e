/*
 * track/change.c
 *		One change of a tracked table's row, turned into events by the rules.
 *
 * Most changes of a tracked table mean nothing to its rules, so an update first
 * compares the few columns that rules watch, by their bytes, and nothing else is
 * computed until one of them differs.
 */
#include "activity.h"

#include "track/change_event.h"
#include "track/gap.h"
#include "track/tier.h"
#include "track/follow_tier.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"

typedef struct Change
{
	int			operation;
	const ActRow *old;
	const ActRow *new;
	const ActRow *row;			/* new, or old if there is none */
	ActPlan    *plan;
	bool	   *changed;		/* by column, in an update */
	int		   *old_states;		/* by machine, -1: not computed */
	int		   *new_states;
	int			any_change;		/* -1: not computed */
	int			moved_column;	/* whose direction is known, or -1 */
	int			moved;
} Change;

static void compute(Change *change, int first);
static bool is_other_thing(const Change *change);
static void note_unknown(Change *change);
static int	old_state(Change *change, int machine);
static int	new_state(Change *change, int machine);
static bool is_same_state(const Change *change, int machine);
static bool applies(Change *change, const ActPlanRule *rule);
static bool machine_holds(Change *change, const ActPlanCondition *condition);
static bool column_holds(Change *change, const ActPlanCondition *condition);
static int	direction(Change *change, int column);
static bool rank(const ActPlan *plan, const ActRow *row, int column, int *rank);
static void follow_tier(Change *change);

void
act_change_record(const ActRow *old, const ActRow *new)
{
	Change		change;
	int			i = 0;

	change.operation = old == NULL ? ACT_ON_INSERT :
		new == NULL ? ACT_ON_DELETE : ACT_ON_UPDATE;
	change.old = old;
	change.new = new;
	change.row = new ? new : old;
	change.plan = change.row->plan;
	change.any_change = -1;
	change.moved_column = -1;
	change.moved = 0;
	if (change.operation == ACT_ON_UPDATE)
	{
		for (i = 0; i < change.plan->nwatched; i++)
			if (!act_tracked_same(old, new, change.plan->watched[i]))
				break;
		if (i == change.plan->nwatched &&
			!(change.plan->any_change && !act_tracked_same_row(old, new)))
			return;
	}
	if (change.plan->lost)
		act_gap_note(change.plan, change.plan->lost, "Track the table again.");
	compute(&change, i);
	if (change.operation == ACT_ON_UPDATE && change.plan->organization >= 0 &&
		is_other_thing(&change))
	{
		int			len;

		if (act_tracked_text(old, old->plan->organization, &len))
			act_change_record(old, NULL);
		if (act_tracked_text(new, new->plan->organization, &len))
			act_change_record(NULL, new);
		return;
	}
	note_unknown(&change);
	for (i = 0; i < change.plan->nrules; i++)
		if (applies(&change, &change.plan->rules[i]))
			act_change_event_record(&change.plan->rules[i], old, new);
	if (change.plan->tier >= 0)
		follow_tier(&change);
}

/* The watched columns before the first one that differs need no second look. */
static void
compute(Change *change, int first)
{
	ActPlan    *plan = change->plan;
	int			i;

	change->changed = palloc0(sizeof(bool) * (plan->ncolumns + 1));
	change->old_states = palloc(sizeof(int) * (plan->nmachines + 1));
	change->new_states = palloc(sizeof(int) * (plan->nmachines + 1));
	if (change->operation == ACT_ON_UPDATE)
		for (i = first; i < plan->nwatched; i++)
			change->changed[plan->watched[i]] = i == first ||
				!act_tracked_same(change->old, change->new, plan->watched[i]);
	for (i = 0; i < plan->nmachines; i++)
		change->old_states[i] = change->new_states[i] = -1;
}

/* Another organization or another identity: one thing went, another came. */
static bool
is_other_thing(const Change *change)
{
	ActPlan    *plan = change->plan;
	int			i;

	if (change->changed[plan->organization])
		return true;
	for (i = 0; i < plan->nidentity; i++)
		if (change->changed[plan->identity[i]])
			return true;
	return false;
}

/* Warns of a word that is new in this change and that nobody gave a meaning. */
static void
note_unknown(Change *change)
{
	ActPlan    *plan = change->plan;
	int			i;
	int			j;

	if (change->new == NULL)
		return;
	for (i = 0; i < plan->nmachines; i++)
	{
		const ActPlanMachine *machine = &plan->machines[i];

		if (new_state(change, i) != ACT_UNKNOWN)
			continue;
		for (j = machine->ntests - 1; j >= 0; j--)
		{
			int			column = machine->tests[j].column;
			char	   *text;
			int			len;

			if (column < 0 || machine->tests[j].state != ACT_UNKNOWN)
				continue;
			if (change->operation == ACT_ON_UPDATE && !change->changed[column])
				break;
			text = act_tracked_text(change->new, column, &len);
			if (text == NULL)
				break;
			len = pg_mbcliplen(text, len, 64);
			act_gap_note(plan, psprintf("\"%.*s\" is no known %s", len, text,
										plan->columns[column].name),
						 psprintf("Give it a meaning: activity.track(..., rules => '{\"states\": {\"%.*s\": \"...\"}}').",
								  len, text));
			break;
		}
	}
}

static int
old_state(Change *change, int machine)
{
	if (change->old == NULL)
		return ACT_ABSENT;
	if (change->old_states[machine] < 0)
		change->old_states[machine] = act_tracked_state(change->old, machine);
	return change->old_states[machine];
}

static int
new_state(Change *change, int machine)
{
	if (change->new == NULL)
		return ACT_ABSENT;
	if (change->new_states[machine] < 0)
		change->new_states[machine] = is_same_state(change, machine) ?
			old_state(change, machine) : act_tracked_state(change->new, machine);
	return change->new_states[machine];
}

/* Whether the columns that tell the state are the same before and after. */
static bool
is_same_state(const Change *change, int machine)
{
	const ActPlanMachine *rules = &change->plan->machines[machine];
	int			seen = -1;

	if (change->operation != ACT_ON_UPDATE || change->old->plan != change->plan)
		return false;
	for (int i = 0; i < rules->ntests; i++)
	{
		int			column = rules->tests[i].column;

		if (column >= 0 && column != seen &&
			!act_tracked_same(change->old, change->new, column))
			return false;
		seen = column;
	}
	return true;
}

static bool
applies(Change *change, const ActPlanRule *rule)
{
	int			i;

	if (!(rule->operations & change->operation))
		return false;
	for (i = 0; i < rule->nconditions; i++)
		if (!(rule->conditions[i].machine ?
			  machine_holds(change, &rule->conditions[i]) :
			  column_holds(change, &rule->conditions[i])))
			return false;
	if (rule->nchanged > 0)
	{
		for (i = 0; i < rule->nchanged; i++)
			if (change->changed[rule->changed[i]])
				break;
		if (i == rule->nchanged)
			return false;
	}
	if (rule->any_change)
	{
		if (change->any_change < 0)
			change->any_change = !act_tracked_same_row(change->old, change->new);
		return change->any_change;
	}
	return true;
}

static bool
machine_holds(Change *change, const ActPlanCondition *condition)
{
	int			before = old_state(change, condition->index);
	int			after = new_state(change, condition->index);

	if (condition->change &&
		(before == after ||
		 !(condition->from >> before & 1) || !(condition->to >> after & 1)))
		return false;
	return (condition->is >> (change->new ? after : before) & 1) &&
		(condition->was >> before & 1);
}

static bool
column_holds(Change *change, const ActPlanCondition *condition)
{
	const ActCondition *asked = condition->condition;
	int			column = condition->index;

	if (condition->change)
	{
		if (change->operation == ACT_ON_UPDATE && !change->changed[column])
			return false;
		if (asked->from.given &&
			(change->old == NULL ||
			 !act_tracked_matches(change->old, column, &asked->from)))
			return false;
		if (asked->to.given &&
			(change->new == NULL ||
			 !act_tracked_matches(change->new, column, &asked->to)))
			return false;
	}
	if (asked->moved && direction(change, column) != asked->moved)
		return false;
	if (asked->is.given && !act_tracked_matches(change->row, column, &asked->is))
		return false;
	return !asked->was.given ||
		(change->old && act_tracked_matches(change->old, column, &asked->was));
}

/*
 * Whether the column went up (1) or down (-1): by the list of tiers if the
 * tracking has one, by the order of numbers and enums, by the names of tiers.
 */
static int
direction(Change *change, int column)
{
	ActPlan    *plan = change->plan;
	ActPlanColumn *source = &plan->columns[column];
	bool		old_null;
	bool		new_null;
	Datum		old_value;
	Datum		new_value;
	int			before;
	int			after;

	if (change->moved_column == column)
		return change->moved;
	change->moved_column = column;
	change->moved = 0;
	if (!change->changed[column] || source->nparts != 1)
		return 0;
	old_value = act_tracked_value(change->old, column, 0, &old_null);
	new_value = act_tracked_value(change->new, column, 0, &new_null);
	if (old_null || new_null)
		return 0;
	if (rank(plan, change->old, column, &before) &&
		rank(plan, change->new, column, &after))
		change->moved = after > before ? 1 : after < before ? -1 : 0;
	else if (source->types[0].compare)
	{
		int			sign = DatumGetInt32(FunctionCall2(source->types[0].compare,
													   new_value, old_value));

		change->moved = sign > 0 ? 1 : sign < 0 ? -1 : 0;
	}
	else
	{
		int			old_len;
		int			new_len;
		char	   *old_text = act_tracked_text(change->old, column, &old_len);
		char	   *new_text = act_tracked_text(change->new, column, &new_len);

		act_gap_note(plan, psprintf("which is higher, \"%.*s\" or \"%.*s\"?",
									pg_mbcliplen(old_text, old_len, 64), old_text,
									pg_mbcliplen(new_text, new_len, 64), new_text),
					 "Say the order: activity.track(..., rules => '{\"tiers\": [\"lowest\", ...]}').");
	}
	return change->moved;
}

/* The place in the list of tiers; without a list, that of a tier's name. */
static bool
rank(const ActPlan *plan, const ActRow *row, int column, int *rank)
{
	ListCell   *cell;
	int			len;
	char	   *text;
	ActTier		tier;

	if (plan->tracking->tiers == NIL && plan->columns[column].types[0].compare)
		return false;
	text = act_tracked_text(row, column, &len);
	foreach(cell, plan->tracking->tiers)
		if (act_tracked_is_word(text, len, ((ActTierWord *) lfirst(cell))->word))
		{
			*rank = foreach_current_index(cell);
			return true;
		}
	if (plan->tracking->tiers != NIL || !act_tier_parse(text, len, &tier))
		return false;
	*rank = tier;
	return true;
}

static void
follow_tier(Change *change)
{
	ActPlan    *plan = change->plan;
	bool		was_live = change->old != NULL;
	bool		is_live = change->new != NULL;

	if (plan->tier_machine >= 0)
	{
		was_live = was_live &&
			(plan->tier_live >> old_state(change, plan->tier_machine) & 1);
		is_live = is_live &&
			(plan->tier_live >> new_state(change, plan->tier_machine) & 1);
	}
	if (is_live &&
		(!was_live || change->operation == ACT_ON_INSERT ||
		 change->changed[plan->tier]))
		act_tracking_tier_set(change->new);
	else if (was_live && !is_live)
		act_tracking_tier_lose(change->row);
}
