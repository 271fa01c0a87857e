/*
 * upkeep/maintain.c
 *		The upkeep that is due from time to time.
 *
 * One transaction, so that an interruption leaves nothing half done, and
 * bounded, so that it is a short one: what is left is done by the next call.
 * The locks that others notice last until its end; so everything that can do
 * without them comes first.
 *
 * Retention goes by months: a partition that nobody keeps is dropped.  Rows are
 * only deleted where somebody's whole month is over and somebody else keeps his,
 * and from the default partition.  So an event is kept as long as it was
 * asked for, and up to a month longer; and what is gone by right, which verify()
 * must know, is what happened before a month's first day.
 */
#include "activity.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "event/append_only.h"
#include "event/aside.h"
#include "track/gap.h"
#include "upkeep/maintain.h"
#include "upkeep/remake.h"
#include "upkeep/step.h"
#include "event/month.h"
#include "base/own_table_guard.h"
#include "stream/trim.h"
#include "event/owner.h"

/*
 * A month of the past year gets a partition for any row, an older one, or one of
 * the future, when it holds OWN_MONTH_ROWS.  So stray times make no thousand
 * tables, and the default partition stays small.
 */
#define RECENT_MONTHS 12
#define OWN_MONTH_ROWS 1000

/* Tables made or dropped in a call, each with its indexes' locks. */
#define MONTHS_PER_CALL 12
#define MONTHS_ASKED_FOR 120

/* How often, and after which pause, locks are asked for again. */
#define LOCK_ATTEMPTS 25
#define LOCK_PAUSE 200			/* ms */

/* Parts that say how much they did. */
typedef struct Question
{
	const char *name;
	const char *action;
	const char *function;		/* which an older catalog may not have */
	const char *sql;
} Question;

static const Question questions[] = {
	{"reads", "record", "fold_reads", "_activity.fold_reads()"},
	{"webhooks", "maintain", "maintain_webhooks", "count(*) FROM _activity.maintain_webhooks()"},
	{"answers", "forget", "forget_answers", "_activity.forget_answers(100000)"}
};

typedef struct Maintenance
{
	int64		max_rows;
	int64		rows_left;
	int			months_left;
	ActUpkeepReport report;
	void	   *state;
	List	   *partitions;		/* attached when it began */
	List	   *months;			/* ActNewPartition to make */
	List	   *dropping;		/* OIDs of partitions that nobody keeps */
	bool		removed;		/* events, so that the stream has gaps */
	TimestampTz since;			/* months asked for; or DT_NOEND */
	List	   *asides;			/* ActAside, steps that failed before */
	const Question *question;
} Maintenance;

/* What the default partition has of a month. */
typedef struct DefaultMonth
{
	ActMonth	month;
	int64		rows;
} DefaultMonth;

static void do_step(Maintenance *maintenance, const char *name,
					void (*run) (void *));
static void expire_if_asked(void *argument);
static void do_months(void *argument);
static void trim(void *argument);
static void fold_gaps(void *argument);
static void expire(Maintenance *maintenance);
static void delete_expired(Maintenance *maintenance, Oid relid,
						   const char *condition);
static bool is_ours(Oid relid);
static bool is_kept(const char *table, TimestampTz until);
static void choose_months(Maintenance *maintenance, TimestampTz since);
static List *list_default(void);
static void choose(Maintenance *maintenance, ActMonth month, int64 rows);
static void make_months(void *argument);
static void lock_for_attach(void *argument);
static void report_months(Maintenance *maintenance);
static void drop_months(void *argument);
static void drop_one(void *argument);
static void lock_for_drop(void *argument);
static bool attempt_often(void (*step) (void *), void *argument);
static char *qualified_name(Oid relid);
static void compact_rollups(void *argument);
static void ask(void *argument);

static void
compact_rollups(void *argument)
{
	Maintenance *maintenance = argument;
	int64		done;

	act_planted_check_table("rollup");
	done = act_upkeep_ask("SELECT _activity.maintain_rollups(" INT64_FORMAT ")",
						  maintenance->max_rows);
	if (done > 0)
		maintenance->report(maintenance->state, "compact", "rollups", done);
}

static void
ask(void *argument)
{
	Maintenance *maintenance = argument;
	int64		done;

	if (act_upkeep_ask("SELECT count(*) FROM pg_catalog.pg_proc WHERE proname = '%s'"
					   " AND pronamespace = '_activity'::pg_catalog.regnamespace",
					   maintenance->question->function) == 0)
		return;
	done = act_upkeep_ask("SELECT %s", maintenance->question->sql);
	if (done > 0)
		maintenance->report(maintenance->state, maintenance->question->action,
							maintenance->question->name, done);
}

void
act_maintain(TimestampTz since, int64 max_rows, ActUpkeepReport report,
			 void *state)
{
	Maintenance maintenance = {
		.max_rows = max_rows,
		.rows_left = max_rows,
		.months_left = MONTHS_PER_CALL,
		.report = report,
		.state = state
	};
	ActUpkeep	upkeep;

	if (!act_upkeep_begin(&upkeep))
	{
		report(state, "skip", "another transaction is at it", -1);
		return;
	}
	act_remake_indexes(report, state);
	maintenance.asides = act_aside_list(ACT_STEP_MAINTAIN);
	maintenance.since = since;
	maintenance.partitions = act_partition_list();
	do_step(&maintenance, "rollups", compact_rollups);
	do_step(&maintenance, "expire", expire_if_asked);
	do_step(&maintenance, "months", do_months);
	if (maintenance.dropping != NIL)
		do_step(&maintenance, "drop", drop_months);
	if (maintenance.removed ||
		act_aside_find(maintenance.asides, 0, "trim") != NULL)
		do_step(&maintenance, "trim", trim);
	do_step(&maintenance, "gaps", fold_gaps);
	for (int i = 0; i < lengthof(questions); i++)
	{
		maintenance.question = &questions[i];
		do_step(&maintenance, questions[i].name, ask);
	}
	act_upkeep_end(&upkeep);
}

/* A part of the upkeep; if it fails by itself, the others are done. */
static void
do_step(Maintenance *maintenance, const char *name, void (*run) (void *))
{
	act_step_do(name, run, maintenance, maintenance->asides,
				maintenance->report, maintenance->state);
}

static void
expire_if_asked(void *argument)
{
	Maintenance *maintenance = argument;

	if (act_upkeep_ask("SELECT count(*) FROM _activity.retention_rule"
					   " WHERE keep IS NOT NULL") > 0 &&
		act_upkeep_ask("SELECT _activity.seal_due()") >= 0)
		expire(maintenance);
}

static void
do_months(void *argument)
{
	Maintenance *maintenance = argument;

	choose_months(maintenance, maintenance->since);
	if (maintenance->months == NIL)
		return;
	if (act_upkeep_attempt(make_months, maintenance) == 0)
		report_months(maintenance);
	else
		maintenance->report(maintenance->state, "skip",
							"_activity.event is in use: no partition made", -1);
}

static void
trim(void *argument)
{
	Maintenance *maintenance = argument;

	act_stream_trim(maintenance->report, maintenance->state);
}

static void
fold_gaps(void *argument)
{
	(void) act_gap_fold();
}

/*
 * Deletes what is over where others keep theirs, and notes what to drop.
 */
static void
expire(Maintenance *maintenance)
{
	ListCell   *cell;
	TimestampTz horizon;

	/* Nobody's time is over after that. */
	horizon = act_upkeep_ask("SELECT max(now() - keep)"
							 " FROM _activity.retention_rule");
	delete_expired(maintenance, act_upkeep_table("event_default"),
				   "e.occurred_at < " ACT_UPKEEP_KEPT_SINCE("k.keep"));
	foreach(cell, maintenance->partitions)
	{
		ActPartition *partition = lfirst(cell);
		char	   *table;

		if (maintenance->rows_left <= 0 ||
			TIMESTAMP_IS_NOEND(partition->until) ||
			partition->until > horizon)
			break;
		if (get_rel_relkind(partition->relid) != RELKIND_RELATION)
			continue;
		table = qualified_name(partition->relid);
		if (!is_ours(partition->relid))
		{
			maintenance->report(maintenance->state, "skip",
								psprintf("%s belongs to another role", table),
								-1);
			continue;
		}
		if (!is_kept(table, partition->until))
		{
			if (list_length(maintenance->dropping) < MONTHS_PER_CALL)
				maintenance->dropping = lappend_oid(maintenance->dropping,
													partition->relid);
		}
		else
			delete_expired(maintenance, partition->relid,
						   psprintf("now() - k.keep >= '%s'",
									timestamptz_to_str(partition->until)));
	}
}

/*
 * Deletes rows of those whose time is over, as the condition on e (the event)
 * and k (the organization's time) says, oldest first.  The inner LIMIT and
 * ORDER BY keep the planner from anything but the index on (organization, id).
 */
static void
delete_expired(Maintenance *maintenance, Oid relid, const char *condition)
{
	char	   *table = qualified_name(relid);
	int64		rows;

	act_planted_check_relid(relid);

	act_append_only_lift();
	PG_TRY();
	{
		rows = act_upkeep_run("DELETE FROM ONLY %s WHERE ctid = ANY (ARRAY("
							  "SELECT expired.ctid FROM " ACT_UPKEEP_RETENTION " k, LATERAL"
							  " (SELECT e.ctid FROM ONLY %s e"
							  " WHERE e.organization = k.key AND %s"
							  " AND (NOT EXISTS (SELECT FROM _activity.hold h"
							  " WHERE h.organization = k.key AND h.released_at IS NULL)"
							  " OR _activity.held_by(e::_activity.event) IS NULL)"
							  " ORDER BY e.id LIMIT " INT64_FORMAT ") expired"
							  " WHERE k.keep IS NOT NULL LIMIT " INT64_FORMAT "))",
							  table, table, condition,
							  maintenance->rows_left, maintenance->rows_left);
	}
	PG_FINALLY();
	{
		act_append_only_restore();
	}
	PG_END_TRY();
	maintenance->rows_left -= rows;
	if (rows == 0)
		return;
	maintenance->removed = true;
	maintenance->report(maintenance->state, "delete", table, rows);
}

/*
 * A trigger on the table runs as who deletes from it: us, the owner of the
 * events.  So it must be our own table, or else its owner would become us.  A
 * superuser's restore leaves such tables behind.
 */
static bool
is_ours(Oid relid)
{
	Relation	rel = table_open(relid, AccessShareLock);
	bool		ours = rel->rd_rel->relowner == GetUserId();

	table_close(rel, AccessShareLock);
	return ours;
}

/* Does an organization that has events in it, or a hold, keep this partition? */
static bool
is_kept(const char *table, TimestampTz until)
{
	return act_upkeep_ask("SELECT count(*) FROM"
						  " (SELECT FROM " ACT_UPKEEP_RETENTION " k, LATERAL"
						  " (SELECT FROM ONLY %s e WHERE e.organization = k.key"
						  " ORDER BY e.id LIMIT 1) its"
						  " WHERE k.keep IS NULL OR now() - k.keep < '%s'"
						  " LIMIT 1) kept",
						  table, timestamptz_to_str(until)) > 0 ||
		act_upkeep_ask("SELECT count(*) FROM (SELECT FROM _activity.hold h"
					   " JOIN ONLY %s e ON e.organization = h.organization"
					   " WHERE h.released_at IS NULL"
					   " AND _activity.held_by(e::_activity.event) IS NOT NULL"
					   " LIMIT 1) held", table) > 0;
}

/* Which months are to be made: asked for, ahead, or in the default partition. */
static void
choose_months(Maintenance *maintenance, TimestampTz since)
{
	ActMonth	current = act_partition_month(GetCurrentTimestamp());
	ActMonth	last = current + act_setting_partitions_ahead;
	ActMonth	first = current;
	List	   *waiting = list_default();
	ListCell   *cell;

	if (!TIMESTAMP_IS_NOEND(since))
	{
		maintenance->months_left = MONTHS_ASKED_FOR;
		first = TIMESTAMP_IS_NOBEGIN(since) ? ACT_MONTH_FIRST :
			Max(ACT_MONTH_FIRST, act_partition_month(since));
		first = Min(first, current);
	}
	foreach(cell, waiting)
	{
		DefaultMonth *month = lfirst(cell);

		if ((month->month >= Min(first, current - RECENT_MONTHS) &&
			 month->month <= last) || month->rows >= OWN_MONTH_ROWS)
			choose(maintenance, month->month, month->rows);
	}
	for (ActMonth month = last; month >= first; month--)
	{
		bool		is_empty = true;

		foreach(cell, waiting)
			is_empty &= ((DefaultMonth *) lfirst(cell))->month != month;
		if (is_empty)
			choose(maintenance, month, 0);
	}
}

/* Puts a month on the list, unless it is there, or would be too much. */
static void
choose(Maintenance *maintenance, ActMonth month, int64 rows)
{
	ActNewPartition *new;

	if (maintenance->months_left <= 0 ||
		act_partition_covers(maintenance->partitions, month))
		return;
	if (rows > maintenance->rows_left &&
		maintenance->rows_left < maintenance->max_rows)
		return;
	if (act_partition_name_is_taken(month))
	{
		maintenance->report(maintenance->state, "skip",
							psprintf("_activity.%s is the name of something else",
									 act_partition_name(month)), -1);
		return;
	}
	new = palloc0(sizeof(ActNewPartition));
	new->month = month;
	new->moved = rows;
	maintenance->months = lappend(maintenance->months, new);
	maintenance->months_left--;
	maintenance->rows_left -= rows;
}

/* The months that the default partition has rows of, oldest first. */
static List *
list_default(void)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *list = NIL;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute("SELECT month::integer, count(*) FROM ONLY _activity.event_default,"
					" LATERAL (SELECT extract(year FROM occurred_at) * 12"
					" + extract(month FROM occurred_at) - 1 AS month) of"
					" GROUP BY month ORDER BY month",
					false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the default partition");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	columns = SPI_tuptable->tupdesc;
		MemoryContext old = MemoryContextSwitchTo(context);
		DefaultMonth *month = palloc(sizeof(DefaultMonth));
		bool		isnull;

		month->month = DatumGetInt32(SPI_getbinval(row, columns, 1, &isnull));
		month->rows = DatumGetInt64(SPI_getbinval(row, columns, 2, &isnull));
		list = lappend(list, month);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	return list;
}

/* Makes the chosen months; throws 55P03 if the locks are not to be had. */
static void
make_months(void *argument)
{
	Maintenance *maintenance = argument;
	ListCell   *cell;

	foreach(cell, maintenance->months)
	{
		ActNewPartition *new = lfirst(cell);

		act_partition_prepare(new, new->moved > 0);
	}
	if (!attempt_often(lock_for_attach, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("the events are in use")));
	foreach(cell, maintenance->months)
		act_partition_attach(lfirst(cell));
}

static void
lock_for_attach(void *argument)
{
	act_partition_lock();
}

static void
report_months(Maintenance *maintenance)
{
	ListCell   *cell;

	foreach(cell, maintenance->months)
	{
		ActNewPartition *new = lfirst(cell);
		char	   *name = psprintf("_activity.%s",
									act_partition_name(new->month));

		maintenance->report(maintenance->state, "make", name, -1);
		if (new->moved > 0)
			maintenance->report(maintenance->state, "move", name, new->moved);
	}
}

/*
 * A drop locks the parent against everybody.  DETACH CONCURRENTLY would not,
 * but can't be had inside a transaction.
 */
static void
drop_months(void *argument)
{
	Maintenance *maintenance = argument;
	ListCell   *cell;

	if (!attempt_often(lock_for_drop, NULL))
	{
		maintenance->report(maintenance->state, "skip",
							"_activity.event is in use: no partition dropped", -1);
		return;
	}
	foreach(cell, maintenance->dropping)
	{
		Oid			relid = lfirst_oid(cell);
		char	   *table = qualified_name(relid);

		if (act_upkeep_attempt(drop_one, table) == 0)
		{
			maintenance->removed = true;
			maintenance->report(maintenance->state, "drop", table, -1);
		}
		else
			maintenance->report(maintenance->state, "skip",
								psprintf("%s is in use", table), -1);
	}
}

static void
lock_for_drop(void *argument)
{
	LockRelationOid(act_upkeep_table("event"), AccessExclusiveLock);
	LockRelationOid(act_upkeep_table("event_default"), AccessExclusiveLock);
}

static void
drop_one(void *argument)
{
	act_upkeep_run("DROP TABLE %s", (const char *) argument);
}

/* Tries again while a lock is not available; false if it never was. */
static bool
attempt_often(void (*step) (void *), void *argument)
{
	for (int attempt = 0; attempt < LOCK_ATTEMPTS; attempt++)
	{
		if (act_upkeep_attempt(step, argument) == 0)
			return true;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 LOCK_PAUSE, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	return false;
}

static char *
qualified_name(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  get_rel_name(relid));
}
