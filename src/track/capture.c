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
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* The old half of a row on its way to another partition. */
typedef struct Moving
{
	ActPlan    *plan;			/* held */
	TupleTableSlot *slot;
	TupleDesc	desc;
	MemoryContext context;		/* of slot and desc */
	SubTransactionId subtransaction;
} Moving;

static Moving moving;			/* plan is NULL: nothing waits */

static void check_trigger(FunctionCallInfo fcinfo, const char *name);
static void capture(TriggerData *data, ActPlan *plan);
static void start_moving(TriggerData *data, ActPlan *plan);
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
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("capture_row() is for triggers that activity.track() makes")));
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
	act_capture_finish_moving();
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
		if (moving.plan &&
			strcmp(moving.plan->tracking->id, plan->tracking->id) == 0)
		{
			ActRow		old = {moving.plan, moving.slot};

			act_change_record(&old, &first);
			act_capture_forget_moving();
			return;
		}
		act_capture_finish_moving();
		act_change_record(NULL, &first);
		return;
	}
	act_capture_finish_moving();
	if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		act_change_record(&first, &second);
	else if (HeapTupleHeaderIndicatesMovedPartitions(data->tg_trigtuple->t_data))
		start_moving(data, plan);
	else
		act_change_record(&first, NULL);
}

static void
start_moving(TriggerData *data, ActPlan *plan)
{
	MemoryContext context = AllocSetContextCreate(TopTransactionContext,
												  "activity moving row",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	moving.desc = CreateTupleDescCopy(RelationGetDescr(data->tg_relation));
	moving.slot = MakeSingleTupleTableSlot(moving.desc, &TTSOpsHeapTuple);
	ExecStoreHeapTuple(heap_copytuple(data->tg_trigtuple), moving.slot, false);
	moving.context = context;
	moving.subtransaction = GetCurrentSubTransactionId();
	moving.plan = plan;
	act_tracking_plan_keep(plan);
	MemoryContextSwitchTo(old);
}

/* Its other half did not come: a BEFORE trigger kept it out. */
void
act_capture_finish_moving(void)
{
	ActRow		old = {moving.plan, moving.slot};

	if (moving.plan == NULL)
		return;
	act_change_record(&old, NULL);
	act_capture_forget_moving();
}

void
act_capture_forget_moving(void)
{
	ActPlan    *plan = moving.plan;

	if (plan == NULL)
		return;
	moving.plan = NULL;
	MemoryContextDelete(moving.context);
	act_tracking_plan_release(plan);
}

void
act_capture_abort_sub(SubTransactionId mine)
{
	if (moving.plan && moving.subtransaction >= mine)
		act_capture_forget_moving();
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
