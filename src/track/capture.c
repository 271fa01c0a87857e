/*
 * track/capture.c
 *		The triggers of tracked tables.
 *
 * Rows come one by one after they changed, so that what BEFORE triggers made of
 * them is seen, and partitions, COPY, MERGE and cascades need nothing of their
 * own.  The statement triggers around them let the events of a bulk change be
 * written together; without them (a statement on a partition itself) each event
 * is written at once.
 *
 * A row that moves to another partition comes as a deletion, marked as such, and
 * then an insertion.  The deleted row waits for its other half.
 */
#include "activity.h"

#include "base/compat.h"
#include "track/capture.h"
#include "track/change.h"
#include "track/gap.h"
#include "record/record.h"
#include "track/row_scan.h"
#include "track/trigger.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_inherits.h"
#include "commands/trigger.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/*
 * The old half of a row on its way to another partition.  Its other half comes
 * next at this depth of triggers and in this subtransaction, or not at all: what
 * comes deeper is of a statement within another trigger of the same row.
 */
typedef struct Moving
{
	struct Moving *outer;
	ActPlan    *plan;			/* held */
	TupleTableSlot *slot;
	TupleDesc	desc;
	MemoryContext context;		/* of all this */
	SubTransactionId subtransaction;
	int			depth;
} Moving;

static Moving *moving;			/* the newest; NULL: nothing waits */

static void check_trigger(FunctionCallInfo fcinfo, const char *name);
pg_noreturn static void refuse(const char *name);
static void capture(TriggerData *data, ActPlan *plan);
static int	trigger_depth(void);
static void start_moving(TriggerData *data, ActPlan *plan);
static bool finish_with(const ActRow *new);
static void finish_moving(int depth);
static void forget_moving(void);
static bool is_same_tracking(const ActPlan *old, const ActPlan *new);
static void capture_truncated(Relation table, const char *argument);
static bool truncate_row(const ActRow *row, void *arg);

PG_FUNCTION_INFO_V1(act_capture_row);
PG_FUNCTION_INFO_V1(act_capture_begin);
PG_FUNCTION_INFO_V1(act_capture_end);
PG_FUNCTION_INFO_V1(act_capture_truncate);

/* capture_row(tracking) - after each row. */
PGDLLEXPORT Datum
act_capture_row(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	ActPlan    *plan;

	check_trigger(fcinfo, "capture_row");
	if (!TRIGGER_FIRED_AFTER(data->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(data->tg_event) ||
		data->tg_trigger->tgnargs != 1)
		refuse("capture_row");
	plan = act_tracking_plan_hold(data->tg_relation, data->tg_trigger->tgoid,
								  data->tg_trigger->tgargs[0]);
	if (act_setting_capture)
		capture(data, plan);
	else
		act_gap_note_silence(plan);
	act_tracking_plan_release(plan);
	return PointerGetDatum(NULL);
}

/* capture_begin() - before each statement. */
PGDLLEXPORT Datum
act_capture_begin(PG_FUNCTION_ARGS)
{
	check_trigger(fcinfo, "capture_begin");
	act_record_open_batch();
	return PointerGetDatum(NULL);
}

/* capture_end() - after each statement and all its rows. */
PGDLLEXPORT Datum
act_capture_end(PG_FUNCTION_ARGS)
{
	check_trigger(fcinfo, "capture_end");
	if (moving)
		finish_moving(trigger_depth());
	act_record_close_batch();
	act_gap_flush();
	return PointerGetDatum(NULL);
}

/* capture_truncate() - before TRUNCATE: what deleting every row would record. */
PGDLLEXPORT Datum
act_capture_truncate(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	Relation	table;
	Oid			function;
	int			i;

	check_trigger(fcinfo, "capture_truncate");
	if (!TRIGGER_FIRED_BY_TRUNCATE(data->tg_event) ||
		!TRIGGER_FIRED_FOR_STATEMENT(data->tg_event))
		refuse("capture_truncate");
	table = data->tg_relation;
	function = act_tracking_plan_function();
	for (i = 0; i < table->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &table->trigdesc->triggers[i];

		if (trigger->tgfoid == function && trigger->tgnargs == 1 &&
			act_tracking_trigger_fires(trigger))
			capture_truncated(table, trigger->tgargs[0]);
	}
	act_gap_flush();
	return PointerGetDatum(NULL);
}

static void
check_trigger(FunctionCallInfo fcinfo, const char *name)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		refuse(name);
}

static void
refuse(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
			 errmsg("%s() is for triggers that activity.track() makes", name)));
}

static void
capture(TriggerData *data, ActPlan *plan)
{
	ActRow		first = {plan, data->tg_trigslot};
	ActRow		second = {plan, data->tg_newslot};

	if (TRIGGER_FIRED_BY_INSERT(data->tg_event))
	{
		if (unlikely(moving) && finish_with(&first))
			return;
		act_change_record(NULL, &first);
		return;
	}
	if (unlikely(moving))
		finish_moving(trigger_depth());
	if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		act_change_record(&first, &second);
	else if (HeapTupleHeaderIndicatesMovedPartitions(data->tg_trigtuple->t_data))
		start_moving(data, plan);
	else
		act_change_record(&first, NULL);
}

/* How many triggers run within one another, ours included. */
static int
trigger_depth(void)
{
	LOCAL_FCINFO(fcinfo, 0);

	InitFunctionCallInfoData(*fcinfo, NULL, 0, InvalidOid, NULL, NULL);
	return DatumGetInt32(pg_trigger_depth(fcinfo));
}

static void
start_moving(TriggerData *data, ActPlan *plan)
{
	MemoryContext context = AllocSetContextCreate(TopTransactionContext,
												  "activity moving row",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Moving	   *new = palloc0(sizeof(Moving));

	new->desc = CreateTupleDescCopy(RelationGetDescr(data->tg_relation));
	new->slot = MakeSingleTupleTableSlot(new->desc, &TTSOpsHeapTuple);
	ExecStoreHeapTuple(heap_copytuple(data->tg_trigtuple), new->slot, false);
	new->context = context;
	new->subtransaction = GetCurrentSubTransactionId();
	new->depth = trigger_depth();
	new->plan = plan;
	act_tracking_plan_keep(plan);
	MemoryContextSwitchTo(old);
	new->outer = moving;
	moving = new;
}

/* Whether the inserted row is the other half of one that waits: then both are
 * recorded. */
static bool
finish_with(const ActRow *new)
{
	int			depth = trigger_depth();
	ActRow		old;

	finish_moving(depth + 1);
	if (moving == NULL || moving->depth != depth ||
		moving->subtransaction != GetCurrentSubTransactionId())
		return false;
	if (!is_same_tracking(moving->plan, new->plan))
	{
		finish_moving(depth);
		return false;
	}
	old.plan = moving->plan;
	old.slot = moving->slot;
	act_change_record(&old, new);
	forget_moving();
	return true;
}

/*
 * Those of this depth and deeper, whose statements are over: their other halves
 * did not come, since BEFORE triggers kept them out.  What waits in an outer
 * subtransaction is left to it, because ours may abort alone.
 */
static void
finish_moving(int depth)
{
	while (moving && moving->depth >= depth &&
		   moving->subtransaction == GetCurrentSubTransactionId())
	{
		ActRow		old = {moving->plan, moving->slot};

		act_change_record(&old, NULL);
		forget_moving();
	}
}

void
act_capture_finish(void)
{
	finish_moving(0);
}

static void
forget_moving(void)
{
	Moving	   *gone = moving;
	ActPlan    *plan = gone->plan;

	moving = gone->outer;
	MemoryContextDelete(gone->context);
	act_tracking_plan_release(plan);
}

void
act_capture_forget(void)
{
	while (moving)
		forget_moving();
}

void
act_capture_abort_sub(SubTransactionId mine)
{
	/* Later ones than this are its children. */
	while (moving && moving->subtransaction >= mine)
		forget_moving();
}

/*
 * Whether two plans read the same columns by the same numbers.  The id of a
 * tracking does not say so, because anybody can give it to a trigger of his.
 */
static bool
is_same_tracking(const ActPlan *old, const ActPlan *new)
{
	if (old == new)
		return true;
	if (strcmp(old->argument, new->argument) != 0)
		return false;
	for (int i = 0; i < new->ncolumns; i++)
		for (int part = 0; part < new->columns[i].nparts; part++)
			if (old->columns[i].types[part].type !=
				new->columns[i].types[part].type)
				return false;
	return true;
}

/*
 * Partitions have this trigger, too, so that only those that lack it are left to
 * the trigger of their parent.
 */
static void
capture_truncated(Relation table, const char *argument)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "activity truncated row",
												  ALLOCSET_DEFAULT_SIZES);
	List	   *relids = list_make1_oid(RelationGetRelid(table));
	ListCell   *cell;

	if (table->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		relids = find_all_inheritors(RelationGetRelid(table), AccessShareLock,
									 NULL);
	PushActiveSnapshot(GetLatestSnapshot());
	act_record_open_batch();
	foreach(cell, relids)
	{
		Relation	partition = table_open(lfirst_oid(cell), NoLock);

		if (partition->rd_rel->relkind == RELKIND_RELATION &&
			(RelationGetRelid(partition) == RelationGetRelid(table) ||
			 !act_tracking_trigger_has(partition, "capture_truncate", true)))
			(void) act_row_scan_one(partition, argument, NULL, 0, truncate_row,
									scratch);
		table_close(partition, NoLock);
	}
	act_record_close_batch();
	PopActiveSnapshot();
}

static bool
truncate_row(const ActRow *row, void *arg)
{
	MemoryContext old = MemoryContextSwitchTo(arg);

	if (act_setting_capture)
		act_change_record(row, NULL);
	else
		act_gap_note_silence(row->plan);
	MemoryContextSwitchTo(old);
	MemoryContextReset(arg);
	return true;
}
