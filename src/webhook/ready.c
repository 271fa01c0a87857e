/*
 * webhook/ready.c
 *		Which endpoints have something to do.
 *
 * Two lists tell: wakes, written by the publisher, and the newest versions of
 * states whose ready_at is not infinity.  In both, rows of one endpoint appear
 * in the order in which they became visible, and the newest comes first in the
 * index.  So a live row is found at once, and where the first few entries of an
 * endpoint are all dead there is no live one behind them, however many dead
 * ones a long snapshot keeps there: the scan descends the index again for the
 * next endpoint instead of walking over them.
 */
#include "activity.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/namespace.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/own_table.h"
#include "base/own_row.h"
#include "webhook/columns.h"
#include "webhook/store.h"

/*
 * Entries of one endpoint that may be invisible before it counts as asleep.
 * Above a live one there can be what aborted (gone at the next look, as it is
 * dead for everybody) and the one that the publisher is about to commit.
 */
#define INVISIBLE_MAX 4

static bool next_of(const char *table, const char *index_name,
					AttrNumber ready_column, int32 *after, TimestampTz now,
					int *looks);
static void start_after(IndexScanDesc scan, int32 endpoint);

void
act_store_wake(const List *endpoints)
{
	ActRowWriter writer;
	Datum		values[WAKE_COLUMNS];
	bool		nulls[WAKE_COLUMNS] = {false};
	ListCell   *lc;

	act_row_begin_write(&writer, act_row_open("webhook_wake", RowExclusiveLock));
	foreach(lc, endpoints)
	{
		values[WAKE_ENDPOINT - 1] = Int32GetDatum(lfirst_int(lc));
		values[WAKE_NUMBER - 1] = Int64GetDatum(act_row_number("webhook_wake_number"));
		act_row_write(&writer, values, nulls);
	}
	act_row_end_write(&writer);
}

void
act_store_forget_wakes(int32 endpoint)
{
	Relation	rel = act_row_open("webhook_wake", RowExclusiveLock);
	Relation	index = index_open(get_relname_relid("webhook_wake_key",
													 get_namespace_oid("_activity", false)),
								   AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	IndexScanDesc scan = act_compat_index_beginscan(rel, index, snapshot, 1);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	ScanKeyData key;
	ItemPointer tid;
	int			invisible = 0;

	act_relation_check_index(index, rel, "1");
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(endpoint));
	index_rescan(scan, &key, 1, NULL, 0);
	while (invisible < INVISIBLE_MAX &&
		   (tid = index_getnext_tid(scan, ForwardScanDirection)) != NULL)
	{
		if (index_fetch_heap(scan, slot))
			simple_table_tuple_delete(rel, &slot->tts_tid, snapshot);
		else
			invisible++;
	}
	ExecDropSingleTupleTableSlot(slot);
	index_endscan(scan);
	UnregisterSnapshot(snapshot);
	index_close(index, AccessShareLock);
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

int32
act_store_next_woken(int32 *after, TimestampTz now, int *looks)
{
	return next_of("webhook_wake", "webhook_wake_key", InvalidAttrNumber,
				   after, now, looks) ? *after : 0;
}

int32
act_store_next_busy(int32 *after, TimestampTz now, int *looks)
{
	return next_of("webhook_state", "webhook_state_busy", STATE_READY_AT,
				   after, now, looks) ? *after : 0;
}

/*
 * Moves *after to the next endpoint with a live row, and that ready by now; false:
 * there is none behind it, or looks have run out, when it is the last one looked at.
 */
static bool
next_of(const char *table, const char *index_name, AttrNumber ready_column,
		int32 *after, TimestampTz now, int *looks)
{
	Relation	rel = act_row_open(table, AccessShareLock);
	Relation	index = index_open(get_relname_relid(index_name,
													 get_namespace_oid("_activity", false)),
								   AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	IndexScanDesc scan = act_compat_index_beginscan(rel, index, snapshot, 1);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	bool		found = false;
	int32		current = *after;
	int			invisible = 0;

	act_relation_check_index(index, rel, "1");
	scan->xs_want_itup = true;	/* the key, also of what is invisible */
	start_after(scan, *after);
	while (!found && *looks > 0 &&
		   index_getnext_tid(scan, ForwardScanDirection) != NULL)
	{
		bool		isnull;
		int32		endpoint = DatumGetInt32(index_getattr(scan->xs_itup, 1,
														   scan->xs_itupdesc, &isnull));

		if (endpoint != current)
			invisible = 0;
		current = endpoint;
		(*looks)--;
		if (!index_fetch_heap(scan, slot))
		{
			if (++invisible >= INVISIBLE_MAX)
				start_after(scan, endpoint);
		}
		else if (ready_column != InvalidAttrNumber &&
				 DatumGetTimestampTz(slot_getattr(slot, ready_column, &isnull)) > now)
			start_after(scan, endpoint);
		else
			found = true;
		*after = endpoint;
		CHECK_FOR_INTERRUPTS();
	}
	ExecDropSingleTupleTableSlot(slot);
	index_endscan(scan);
	UnregisterSnapshot(snapshot);
	index_close(index, AccessShareLock);
	table_close(rel, NoLock);
	return found;
}

static void
start_after(IndexScanDesc scan, int32 endpoint)
{
	ScanKeyData key;

	ScanKeyInit(&key, 1, BTGreaterStrategyNumber, F_INT4GT, Int32GetDatum(endpoint));
	index_rescan(scan, &key, 1, NULL, 0);
}
