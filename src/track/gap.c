/*
 * track/gap.c
 *		What tracking could not record as it should: warned of and counted.
 *
 * Counts are rows that are only ever added, one for each statement, table and
 * reason, so that writers never wait for one another; activity.gaps adds them
 * up.  They wait in memory until the statement ends, which makes a bulk change
 * one row, and they belong to the subtransaction that saw them.
 */
#include "activity.h"

#include "base/columns.h"
#include "track/gap.h"
#include "base/own_table_guard.h"
#include "base/own_table.h"
#include "event/owner.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

typedef struct Gap
{
	char	   *tracking;
	char	   *category;
	char	   *table;
	char	   *reason;
	int64		changes;		/* not yet written */
	SubTransactionId subtransaction;
	bool		said;			/* warned of in this transaction */
} Gap;

static List *gaps;				/* of Gap *, in TopTransactionContext */
static bool waiting;			/* some have changes */

/* More reasons than that in one transaction are not told apart. */
#define REASONS_MAX 100
#define MANY_REASONS "more reasons than are told apart"

static Gap *find_gap(const ActPlan *plan, const char *reason);
static void insert_gap(const Gap *gap);

void
act_gap_note(const ActPlan *plan, const char *reason, const char *hint)
{
	Gap		   *gap;

	if (plan->tracking->strict)
		ereport(ERROR,
				(errcode(ERRCODE_ACT_UNKNOWN_STATE),
				 errmsg("table \"%s\", tracked as \"%s\": %s", plan->table,
						plan->tracking->category, reason),
				 hint ? errhint("%s", hint) : 0));
	gap = find_gap(plan, reason);
	gap->changes++;
	if (!gap->said)
		ereport(WARNING,
				(errcode(ERRCODE_ACT_UNKNOWN_STATE),
				 errmsg("table \"%s\", tracked as \"%s\": %s", plan->table,
						plan->tracking->category, reason),
				 hint ? errhint("%s", hint) : 0));
	gap->said = true;
}

void
act_gap_note_silence(const ActPlan *plan)
{
	Gap		   *gap = find_gap(plan, "activity.capture was off");

	gap->changes++;
	if (!gap->said)
		ereport(LOG,
				(errmsg("activity.capture is off: changes of table \"%s\" are not recorded",
						plan->table)));
	gap->said = true;
}

void
act_gap_flush(void)
{
	ListCell   *cell;

	if (!waiting)
		return;
	waiting = false;
	foreach(cell, gaps)
	{
		Gap		   *gap = lfirst(cell);

		if (gap->changes == 0)
			continue;
		if (gap->subtransaction != GetCurrentSubTransactionId())
		{
			waiting = true;
			continue;
		}
		insert_gap(gap);
		gap->changes = 0;
	}
}

int64
act_gap_fold(void)
{
	act_planted_check_table("gap");
	return act_upkeep_run("WITH gone AS ("
						  "DELETE FROM _activity.gap g USING ("
						  "SELECT tracking, reason, date_trunc('day', noticed_at) AS day"
						  " FROM _activity.gap"
						  " GROUP BY tracking, reason, category, tracked, database_role, day"
						  " HAVING count(*) > 1) many"
						  " WHERE g.tracking = many.tracking AND g.reason = many.reason"
						  " AND date_trunc('day', g.noticed_at) = many.day RETURNING g.*)"
						  " INSERT INTO _activity.gap SELECT tracking, category, tracked,"
						  " reason, sum(changes)::bigint, max(noticed_at), database_role"
						  " FROM gone GROUP BY tracking, category, tracked, reason,"
						  " database_role, date_trunc('day', noticed_at)");
}

static Gap *
find_gap(const ActPlan *plan, const char *reason)
{
	SubTransactionId mine = GetCurrentSubTransactionId();
	MemoryContext old;
	ListCell   *cell;
	Gap		   *gap;
	bool		said = false;

	waiting = true;
	foreach(cell, gaps)
	{
		gap = lfirst(cell);
		if (strcmp(gap->tracking, plan->tracking->id) != 0 ||
			strcmp(gap->reason, reason) != 0)
			continue;
		/* What was written or rolled back already can be anybody's. */
		if (gap->changes == 0)
			gap->subtransaction = mine;
		if (gap->subtransaction == mine)
			return gap;
		said |= gap->said;
	}
	if (list_length(gaps) >= REASONS_MAX && strcmp(reason, MANY_REASONS) != 0)
		return find_gap(plan, MANY_REASONS);
	old = MemoryContextSwitchTo(TopTransactionContext);
	gap = palloc0(sizeof(Gap));
	gap->tracking = pstrdup(plan->tracking->id);
	gap->category = pstrdup(plan->tracking->category);
	gap->table = quote_qualified_identifier(get_namespace_name(get_rel_namespace(plan->pooled.relid)),
											plan->table);
	gap->reason = pstrdup(reason);
	gap->subtransaction = mine;
	gap->said = said;
	gaps = lappend(gaps, gap);
	MemoryContextSwitchTo(old);
	return gap;
}

void
act_gap_forget(void)
{
	gaps = NIL;
	waiting = false;
}

void
act_gap_commit_sub(SubTransactionId mine, SubTransactionId parent)
{
	ListCell   *cell;

	foreach(cell, gaps)
	{
		Gap		   *gap = lfirst(cell);

		if (gap->subtransaction == mine)
			gap->subtransaction = parent;
	}
}

void
act_gap_abort_sub(SubTransactionId mine)
{
	ListCell   *cell;

	foreach(cell, gaps)
	{
		Gap		   *gap = lfirst(cell);

		/* None is later than this one, which was the innermost. */
		if (gap->subtransaction >= mine)
			gap->changes = 0;
	}
}

static void
insert_gap(const Gap *gap)
{
	Datum		values[ACT_GAP_COLUMNS];
	bool		nulls[ACT_GAP_COLUMNS] = {false};
	char	   *role;

	values[ACT_GAP_TRACKING - 1] = DirectFunctionCall1(uuid_in, CStringGetDatum(gap->tracking));
	values[ACT_GAP_CATEGORY - 1] = CStringGetTextDatum(gap->category);
	values[ACT_GAP_TRACKED - 1] = CStringGetTextDatum(gap->table);
	values[ACT_GAP_REASON - 1] = CStringGetTextDatum(gap->reason);
	values[ACT_GAP_CHANGES - 1] = Int64GetDatum(gap->changes);
	values[ACT_GAP_NOTICED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	role = GetUserNameFromId(GetSessionUserId(), true);
	values[ACT_GAP_DATABASE_ROLE - 1] = CStringGetTextDatum(role ? role : "");
	act_relation_insert(ACT_REL_GAP, values, nulls);
}
