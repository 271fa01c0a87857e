/*
 * stream/backlog.c
 *		What is committed and not published yet.
 *
 * Each partition has an index on the transaction id.  New events are at its
 * end, and those of a transaction that took long are where it began.  The
 * index alone tells which entries to look at, so that a transaction that has
 * been running for hours costs one comparison, not a walk over everything that
 * came after it.  All partitions are looked at: an import can go into any.
 */
#include "activity.h"

#include "access/genam.h"
#include "access/itup.h"
#include "access/table.h"
#include "access/tableam.h"
#include "funcapi.h"
#include "partitioning/partdesc.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "stream/backlog.h"
#include "base/compat.h"
#include "event/event.h"
#include "event/id.h"
#include "base/own_table.h"

PG_FUNCTION_INFO_V1(act_backlog);

/* Ranges of ids less than this apart are scanned as one. */
#define NEAR 128

typedef struct Partition
{
	Relation	rel;
	Relation	index;
	IndexFetchTableData *fetch;
	TupleTableSlot *slot;
} Partition;

struct ActBacklog
{
	Snapshot	snapshot;
	int			npartitions;
	Partition  *partitions;
};

typedef struct Range
{
	uint64		first;
	uint64		end;			/* exclusive */
} Range;

/* What collecting from the partitions has come to. */
typedef struct Harvest
{
	const ActProgress *progress;
	const ActShot *until;
	int			limit;
	uint64		horizon;		/* from here on it is not all collected */
	int64		count;
	int64		room;
	ActUnpublished *entries;
} Harvest;

static int	make_ranges(const ActProgress *progress, const ActShot *until,
						Range **ranges);
static void collect(ActBacklog *backlog, int number, const Range *ranges,
					int nranges, Harvest *harvest);
static bool collect_range(ActBacklog *backlog, int number, IndexScanDesc scan,
						  const Range *range, int64 start, Harvest *harvest);
static int64 cut(Harvest *harvest, uint64 *last, bool *complete);
static int	read_ids(ActBacklog *backlog, const ActProgress *progress,
					 ActUnpublished *entries, int64 count);
static int	compare_xids(const void *a, const void *b);

/*
 * The caller's snapshot is older than what we open: had a row been moved to
 * another partition in between, the snapshot would still show it where it was.
 * But it can show a move of which the news has not come yet, since a commit is
 * visible a moment before it is told; its locks last until it is.
 */
ActBacklog *
act_backlog_open(Snapshot snapshot)
{
	ActBacklog *backlog = palloc0(sizeof(ActBacklog));
	Relation	parent = act_relation_open(ACT_REL_EVENT, AccessShareLock);
	PartitionDesc partitions;
	AttrNumber	key = ACT_EVENT_XID;

	/* From here on no row can be moved out of the default partition; and what
	 * was done before, we have heard of when we have its lock. */
	LockRelationOid(act_relation_oid(ACT_REL_EVENT_DEFAULT), AccessShareLock);
	partitions = RelationGetPartitionDesc(parent, true);
	backlog->snapshot = snapshot;
	backlog->npartitions = partitions->nparts;
	backlog->partitions = palloc0(Max(partitions->nparts, 1) * sizeof(Partition));
	for (int i = 0; i < partitions->nparts; i++)
	{
		Partition  *partition = &backlog->partitions[i];
		Oid			index;

		partition->rel = table_open(partitions->oids[i], AccessShareLock);
		act_relation_check(partition->rel, ACT_REL_EVENT);
		index = act_relation_index_on(partition->rel, 1, &key);
		if (!OidIsValid(index))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("partition \"%s\" has lost its index on xid",
							RelationGetRelationName(partition->rel)),
					 errhint("CREATE INDEX ON _activity.%s (xid).",
							 RelationGetRelationName(partition->rel))));
		partition->index = index_open(index, AccessShareLock);
	}
	table_close(parent, NoLock);
	return backlog;
}

void
act_backlog_close(ActBacklog *backlog)
{
	for (int i = 0; i < backlog->npartitions; i++)
	{
		Partition  *partition = &backlog->partitions[i];

		if (partition->fetch != NULL)
		{
			table_index_fetch_end(partition->fetch);
			ExecDropSingleTupleTableSlot(partition->slot);
		}
		index_close(partition->index, NoLock);
		table_close(partition->rel, NoLock);
	}
	pfree(backlog->partitions);
	pfree(backlog);
}

int
act_backlog_find(ActBacklog *backlog, const ActProgress *progress,
				 const ActShot *until, int limit, ActUnpublished **events,
				 uint64 *last, bool *complete, int *dead)
{
	Harvest		harvest = {progress, until, limit, PG_UINT64_MAX};
	Range	   *ranges;
	int			nranges = make_ranges(progress, until, &ranges);
	int64		count;
	int			alive;

	for (int i = 0; i < backlog->npartitions && nranges > 0; i++)
		collect(backlog, i, ranges, nranges, &harvest);
	pfree(ranges);
	count = cut(&harvest, last, complete);
	alive = read_ids(backlog, progress, harvest.entries, count);
	*dead = (int) Min(count - alive, PG_INT32_MAX);
	*events = harvest.entries;
	return alive;
}

TupleTableSlot *
act_backlog_fetch(ActBacklog *backlog, const ActUnpublished *event)
{
	Partition  *partition = &backlog->partitions[event->partition];
	ItemPointerData tid = event->tid;
	bool		again = false;

	if (partition->fetch == NULL)
	{
		partition->fetch = table_index_fetch_begin(partition->rel);
		partition->slot = table_slot_create(partition->rel, NULL);
	}
	if (!table_index_fetch_tuple(partition->fetch, &tid, backlog->snapshot,
								 partition->slot, &again, NULL))
		return NULL;
	return partition->slot;
}

/*
 * Where new events can be: transactions that were running then and are over
 * now, and everything that began since.  Neighbours are joined.
 */
static int
make_ranges(const ActProgress *progress, const ActShot *until, Range **ranges)
{
	const ActShot *settled = progress->settled;
	int			count = 0;

	*ranges = palloc((settled->nrunning + 1) * sizeof(Range));
	for (uint32 i = 0; i <= settled->nrunning; i++)
	{
		bool		rest = i == settled->nrunning;
		Range		range;

		range.first = rest ? settled->xmax : settled->running[i];
		range.end = rest ? until->xmax : settled->running[i] + 1;
		/* With a later aim, what ran at the earlier one may come before. */
		if (until == progress->target)
			range.first = Max(range.first, progress->mark_xid);
		if (range.first >= range.end ||
			(!rest && !act_progress_is_over(until, range.first)))
			continue;
		if (count > 0 && range.first - (*ranges)[count - 1].end < NEAR)
			(*ranges)[count - 1].end = range.end;
		else
			(*ranges)[count++] = range;
	}
	return count;
}

static void
collect(ActBacklog *backlog, int number, const Range *ranges, int nranges,
		Harvest *harvest)
{
	Partition  *partition = &backlog->partitions[number];
	IndexScanDesc scan = act_compat_index_beginscan(partition->rel,
													partition->index,
													backlog->snapshot, 2);
	int64		start = harvest->count;

	scan->xs_want_itup = true;
	for (int i = 0; i < nranges; i++)
		if (!collect_range(backlog, number, scan, &ranges[i], start, harvest))
			break;
	index_endscan(scan);
}

/* False when there are enough of this partition, which then has more. */
static bool
collect_range(ActBacklog *backlog, int number, IndexScanDesc scan,
			  const Range *range, int64 start, Harvest *harvest)
{
	Partition  *partition = &backlog->partitions[number];
	TupleDesc	desc = RelationGetDescr(partition->index);
	ScanKeyData keys[2];
	ItemPointer tid;

	ScanKeyInit(&keys[0], 1, BTGreaterEqualStrategyNumber, F_XID8GE,
				FullTransactionIdGetDatum(FullTransactionIdFromU64(range->first)));
	ScanKeyInit(&keys[1], 1, BTLessStrategyNumber, F_XID8LT,
				FullTransactionIdGetDatum(FullTransactionIdFromU64(Min(range->end,
																	   harvest->horizon))));
	index_rescan(scan, keys, 2, NULL, 0);
	while ((tid = index_getnext_tid(scan, ForwardScanDirection)) != NULL)
	{
		bool		isnull;
		Datum		datum = index_getattr(scan->xs_itup, 1, desc, &isnull);
		uint64		xid = U64FromFullTransactionId(DatumGetFullTransactionId(datum));
		ActUnpublished *entry;

		if (!act_progress_is_over(harvest->until, xid) ||
			act_progress_has_passed(harvest->progress, xid))
			continue;
		if (harvest->count - start > harvest->limit &&
			harvest->entries[harvest->count - 1].xid != xid)
		{
			harvest->horizon = Min(harvest->horizon, xid);
			return false;
		}
		if (harvest->count == harvest->room)
		{
			harvest->room = harvest->room == 0 ? 256 : harvest->room * 2;
			harvest->entries = harvest->entries == NULL ?
				palloc(harvest->room * sizeof(ActUnpublished)) :
				repalloc_huge(harvest->entries,
							  harvest->room * sizeof(ActUnpublished));
		}
		entry = &harvest->entries[harvest->count++];
		entry->xid = xid;
		entry->partition = number;
		entry->tid = *tid;
	}
	return true;
}

/* Keeps the first whole transactions that come to the limit, or the first. */
static int64
cut(Harvest *harvest, uint64 *last, bool *complete)
{
	int64		kept = 0;

	*last = 0;
	*complete = harvest->horizon == PG_UINT64_MAX;
	if (harvest->count <= harvest->limit && *complete)
	{
		for (int64 i = 0; i < harvest->count; i++)
			*last = Max(*last, harvest->entries[i].xid);
		return harvest->count;
	}
	qsort(harvest->entries, harvest->count, sizeof(ActUnpublished), compare_xids);
	for (int64 i = 0; i < harvest->count;)
	{
		uint64		xid = harvest->entries[i].xid;
		int64		end = i;

		while (end < harvest->count && harvest->entries[end].xid == xid)
			end++;
		if (xid >= harvest->horizon ||
			(kept > 0 && end > harvest->limit))
		{
			*complete = false;
			break;
		}
		*last = xid;
		kept = i = end;
	}
	return kept;
}

/*
 * Reads the ids of those that are there, and drops the others: they rolled
 * back, with their transaction or in a part of it.
 */
static int
read_ids(ActBacklog *backlog, const ActProgress *progress,
		 ActUnpublished *entries, int64 count)
{
	int64		alive = 0;

	for (int64 i = 0; i < count; i++)
	{
		TupleTableSlot *slot = act_backlog_fetch(backlog, &entries[i]);
		ActUnpublished entry = entries[i];
		bool		isnull;

		if (slot == NULL)
			continue;
		entry.id = *DatumGetUUIDP(slot_getattr(slot, ACT_EVENT_ID, &isnull));
		entry.organization =
			DatumGetInt32(slot_getattr(slot, ACT_EVENT_ORGANIZATION, &isnull));
		if (progress->within && entry.xid == progress->mark_xid &&
			memcmp(&entry.id, &progress->mark_id, UUID_LEN) <= 0)
			continue;
		entries[alive++] = entry;
	}
	if (alive > PG_INT32_MAX)
		elog(ERROR, "too many events in one transaction");
	return (int) alive;
}

static int
compare_xids(const void *a, const void *b)
{
	uint64		left = ((const ActUnpublished *) a)->xid;
	uint64		right = ((const ActUnpublished *) b)->xid;

	return left < right ? -1 : left > right;
}

/* backlog(most) - for activity.health. */
PGDLLEXPORT Datum
act_backlog(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int			most = PG_ARGISNULL(0) ? 1 : Max(1, PG_GETARG_INT32(0));
	ActBacklog *backlog;
	ActProgress progress;
	ActUnpublished *events;
	uint64		last;
	bool		complete;
	int			dead;
	int			count;
	TimestampTz oldest = DT_NOEND;
	Datum		values[3];
	bool		nulls[3] = {0};

	InitMaterializedSRF(fcinfo, 0);
	PushActiveSnapshot(GetLatestSnapshot());
	backlog = act_backlog_open(GetActiveSnapshot());
	act_progress_read(GetActiveSnapshot(), &progress);
	count = act_backlog_find(backlog, &progress,
							 act_progress_shot(GetActiveSnapshot()), most,
							 &events, &last, &complete, &dead);
	for (int i = 0; i < count; i++)
	{
		TimestampTz time;

		if (act_event_id_time(&events[i].id, &time) && time < oldest)
			oldest = time;
	}
	act_backlog_close(backlog);
	PopActiveSnapshot();
	values[0] = Int64GetDatum(count);
	values[1] = TimestampTzGetDatum(oldest);
	nulls[1] = count == 0;
	values[2] = TimestampTzGetDatum(progress.published_at);
	nulls[2] = progress.number == 0;
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	return (Datum) 0;
}
