/*
 * stream/progress.c
 *		How far publishing has come: what decides whether an event is published.
 *
 * An event needs publishing when its transaction was still running in the
 * snapshot kept by the last publisher, or began later, and is over in the
 * snapshot of this one.  Neither commit order nor id order is relied upon, so
 * nothing can slip through between them.
 *
 * What is to be published may be more than one transaction should hold.  Then
 * the snapshot that was aimed at is kept as well, with a mark of how far its
 * events are done, in an order that every later look finds the same: by
 * transaction, then by id.
 */
#include "activity.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

#include "base/columns.h"
#include "base/compat.h"
#include "event/incarnation.h"
#include "stream/progress.h"
#include "base/own_table.h"

/* Old rows are deleted once in so many, all but the newest so many. */
#define CLEAN_EVERY 1024
#define KEEP 64

static int	compare_xids(const void *a, const void *b);
static ActShot *parse_shot(const char *text);
static Datum shot_datum(const ActShot *shot);
static void clean(int64 below);

ActShot *
act_progress_shot(Snapshot snapshot)
{
	ActShot    *shot = palloc(sizeof(ActShot));
	FullTransactionId next = ReadNextFullTransactionId();
	FullTransactionId self = GetTopFullTransactionIdIfAny();
	uint64		incarnation = act_incarnation_number() << ACT_INCARNATION_SHIFT;
	TransactionId next_xid = XidFromFullTransactionId(next);
	uint64		epoch = EpochFromFullTransactionId(next);

	/* A standby can't tell subtransactions from others, and has all there. */
	bool		standby = snapshot->takenDuringRecovery;
	TransactionId *xids = standby ? snapshot->subxip : snapshot->xip;
	uint32		count = standby ? snapshot->subxcnt : snapshot->xcnt;

	/* Ids in a snapshot are less than 2^31 before the next one. */
#define WIDEN(xid) (incarnation | (xid) | \
					(((xid) > next_xid ? epoch - 1 : epoch) << 32))
	shot->xmin = WIDEN(snapshot->xmin);
	shot->xmax = WIDEN(snapshot->xmax);
	shot->running = palloc((count + 1) * sizeof(uint64));
	shot->nrunning = 0;
	for (uint32 i = 0; i < count; i++)
		shot->running[shot->nrunning++] = WIDEN(xids[i]);
	if (FullTransactionIdIsValid(self))
	{
		uint64		xid = incarnation | U64FromFullTransactionId(self);

		if (xid < shot->xmax)
			shot->running[shot->nrunning++] = xid;
		if (xid < shot->xmin)
			shot->xmin = xid;
	}
#undef WIDEN
	qsort(shot->running, shot->nrunning, sizeof(uint64), compare_xids);
	return shot;
}

bool
act_progress_is_over(const ActShot *shot, uint64 xid)
{
	if (xid < shot->xmin)
		return true;
	if (xid >= shot->xmax)
		return (xid & ACT_INCARNATION_ELSEWHERE) != 0;
	return bsearch(&xid, shot->running, shot->nrunning, sizeof(uint64),
				   compare_xids) == NULL;
}

bool
act_progress_has_passed(const ActProgress *progress, uint64 xid)
{
	if (act_progress_is_over(progress->settled, xid))
		return true;
	if (progress->target == NULL || !act_progress_is_over(progress->target, xid))
		return false;
	return xid < progress->mark_xid ||
		(xid == progress->mark_xid && !progress->within);
}

bool
act_progress_covers(const ActProgress *progress, uint64 xid,
					const pg_uuid_t *id)
{
	if (act_progress_has_passed(progress, xid))
		return true;
	return progress->within && xid == progress->mark_xid &&
		memcmp(id, &progress->mark_id, UUID_LEN) <= 0;
}

void
act_progress_read(Snapshot snapshot, ActProgress *progress)
{
	Relation	rel = act_relation_open(ACT_REL_PUBLICATION, AccessShareLock);
	Relation	index = act_relation_open_index(ACT_REL_PUBLICATION_PKEY, rel);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	IndexScanDesc scan = act_compat_index_beginscan(rel, index, snapshot, 0);

	memset(progress, 0, sizeof(ActProgress));
	index_rescan(scan, NULL, 0, NULL, 0);
	if (index_getnext_slot(scan, BackwardScanDirection, slot))
	{
		Datum	   *values = slot->tts_values;
		bool	   *nulls = slot->tts_isnull;

		slot_getallattrs(slot);
		progress->number = DatumGetInt64(values[ACT_PUBLICATION_NUMBER - 1]);
		progress->published_at = DatumGetTimestampTz(values[ACT_PUBLICATION_PUBLISHED_AT - 1]);
		progress->segment = DatumGetInt32(values[ACT_PUBLICATION_SEGMENT - 1]);
		progress->events = DatumGetInt32(values[ACT_PUBLICATION_EVENTS - 1]);
		progress->settled =
			parse_shot(DatumGetCString(DirectFunctionCall1(pg_snapshot_out,
														   values[ACT_PUBLICATION_SETTLED - 1])));
		if (!nulls[ACT_PUBLICATION_TARGET - 1])
			progress->target =
				parse_shot(DatumGetCString(DirectFunctionCall1(pg_snapshot_out,
															   values[ACT_PUBLICATION_TARGET - 1])));
		if (!nulls[ACT_PUBLICATION_MARK_XID - 1])
			progress->mark_xid =
				U64FromFullTransactionId(DatumGetFullTransactionId(values[ACT_PUBLICATION_MARK_XID - 1]));
		progress->within = !nulls[ACT_PUBLICATION_MARK_ID - 1];
		if (progress->within)
			progress->mark_id = *DatumGetUUIDP(values[ACT_PUBLICATION_MARK_ID - 1]);
	}
	else
		progress->settled = parse_shot("3:3:");
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, NoLock);
	table_close(rel, NoLock);
}

void
act_progress_write(ActProgress *progress)
{
	Datum		values[ACT_PUBLICATION_COLUMNS] = {0};
	bool		nulls[ACT_PUBLICATION_COLUMNS] = {0};

	progress->number++;
	progress->published_at = GetCurrentTimestamp();
	values[ACT_PUBLICATION_NUMBER - 1] = Int64GetDatum(progress->number);
	values[ACT_PUBLICATION_PUBLISHED_AT - 1] = TimestampTzGetDatum(progress->published_at);
	values[ACT_PUBLICATION_SEGMENT - 1] = Int32GetDatum(progress->segment);
	values[ACT_PUBLICATION_EVENTS - 1] = Int32GetDatum(progress->events);
	values[ACT_PUBLICATION_SETTLED - 1] = shot_datum(progress->settled);
	nulls[ACT_PUBLICATION_TARGET - 1] = progress->target == NULL;
	if (progress->target != NULL)
		values[ACT_PUBLICATION_TARGET - 1] = shot_datum(progress->target);
	nulls[ACT_PUBLICATION_MARK_XID - 1] = progress->mark_xid == 0;
	values[ACT_PUBLICATION_MARK_XID - 1] =
		FullTransactionIdGetDatum(FullTransactionIdFromU64(progress->mark_xid));
	nulls[ACT_PUBLICATION_MARK_ID - 1] = !progress->within;
	values[ACT_PUBLICATION_MARK_ID - 1] = UUIDPGetDatum(&progress->mark_id);
	act_relation_insert(ACT_REL_PUBLICATION, values, nulls);
	if (progress->number % CLEAN_EVERY == 0)
		clean(progress->number - KEEP);
}

static int
compare_xids(const void *a, const void *b)
{
	uint64		left = *(const uint64 *) a;
	uint64		right = *(const uint64 *) b;

	return left < right ? -1 : left > right;
}

/* xmin:xmax:xip,...: what pg_snapshot prints; its layout is not published. */
static ActShot *
parse_shot(const char *text)
{
	ActShot    *shot = palloc(sizeof(ActShot));
	const char *c = text;
	char	   *end;
	int			room = 1;

	for (const char *p = text; *p != '\0'; p++)
		room += *p == ',';
	shot->running = palloc(room * sizeof(uint64));
	shot->nrunning = 0;
	shot->xmin = strtou64(c, &end, 10);
	shot->xmax = strtou64(end + 1, &end, 10);
	for (c = end + 1; *c != '\0'; c = *end == ',' ? end + 1 : end)
		shot->running[shot->nrunning++] = strtou64(c, &end, 10);
	return shot;
}

static Datum
shot_datum(const ActShot *shot)
{
	StringInfoData text;
	Datum		datum;

	initStringInfo(&text);
	appendStringInfo(&text, UINT64_FORMAT ":" UINT64_FORMAT ":",
					 shot->xmin, shot->xmax);
	for (uint32 i = 0; i < shot->nrunning; i++)
		appendStringInfo(&text, "%s" UINT64_FORMAT, i > 0 ? "," : "",
						 shot->running[i]);
	datum = DirectFunctionCall1(pg_snapshot_in, CStringGetDatum(text.data));
	pfree(text.data);
	return datum;
}

/*
 * Deletes rows with smaller numbers.  We have the right to publish, so nobody
 * else changes the table.
 */
static void
clean(int64 below)
{
	Relation	rel = act_relation_open(ACT_REL_PUBLICATION, RowExclusiveLock);
	Relation	index = act_relation_open_index(ACT_REL_PUBLICATION_PKEY, rel);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	Snapshot	snapshot = GetActiveSnapshot();
	IndexScanDesc scan = act_compat_index_beginscan(rel, index, snapshot, 1);
	ScanKeyData key;

	ScanKeyInit(&key, 1, BTLessStrategyNumber, F_INT8LT, Int64GetDatum(below));
	index_rescan(scan, &key, 1, NULL, 0);
	while (index_getnext_slot(scan, ForwardScanDirection, slot))
		simple_table_tuple_delete(rel, &slot->tts_tid, snapshot);
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, NoLock);
	table_close(rel, NoLock);
}
