/*
 * feed/walk.c
 *		An ordered walk over one index of one partition, without the heap.
 *
 * A page of the feed must cost the same whatever the planner believes, so the
 * index is read directly.  Walks within one value have ordinary keys.  A walk
 * across values starts at a row comparison, such as (organization, type, id)
 * <= ($1, $2, $3), because that alone lets a btree start in the middle of one
 * value and run on into the next; where it ends, we see for ourselves, since
 * the second column of a row comparison doesn't end a scan.
 */
#include "activity.h"

#include "access/nbtree.h"
#include "access/relscan.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "event/event.h"
#include "feed/walk.h"
#include "base/own_table.h"

#define COLUMNS_MAX 3
#define WITHIN_KEYS_MAX (COLUMNS_MAX + 1)

struct ActWalk
{
	Relation	heap;
	Relation	index;
	Snapshot	snapshot;
	ScanDirection direction;
	int32		organization;
	int			columns;		/* 2, or 3 with a value beside the organization */
	AttrNumber	organization_column;	/* in the index */
	AttrNumber	value_column;	/* the other one of the first two */

	/* Opened when first needed. */
	IndexScanDesc within;
	IndexScanDesc across;
	IndexScanDesc scan;			/* the one in use */

	/* What the keys point at. */
	pg_uuid_t	low;
	pg_uuid_t	high;
	ScanKeyData members[COLUMNS_MAX];
	int32		until;			/* the last value of a walk across */
};

static void use_scan(ActWalk *walk, IndexScanDesc *scan, int keys);

ActWalk *
act_walk_open(Relation heap, Oid index, Snapshot snapshot,
			  ScanDirection direction, int32 organization)
{
	ActWalk    *walk = palloc0(sizeof(ActWalk));

	walk->heap = heap;
	walk->index = index_open(index, AccessShareLock);
	act_relation_check_index(walk->index, heap, "");
	walk->snapshot = snapshot;
	walk->direction = direction;
	walk->organization = organization;
	walk->columns = IndexRelationGetNumberOfKeyAttributes(walk->index);
	Assert(walk->columns == 2 || walk->columns == 3);
	walk->organization_column =
		walk->index->rd_index->indkey.values[0] == ACT_EVENT_ORGANIZATION ? 1 : 2;
	walk->value_column = 3 - walk->organization_column;
	return walk;
}

void
act_walk_close(ActWalk *walk)
{
	if (walk->within != NULL)
		index_endscan(walk->within);
	if (walk->across != NULL)
		index_endscan(walk->across);
	index_close(walk->index, AccessShareLock);
	pfree(walk);
}

static void
use_scan(ActWalk *walk, IndexScanDesc *scan, int keys)
{
	if (*scan == NULL)
	{
		*scan = act_compat_index_beginscan(walk->heap, walk->index,
										   walk->snapshot, keys);
		(*scan)->xs_want_itup = true;
	}
	walk->scan = *scan;
}

void
act_walk_seek(ActWalk *walk, int32 value, const pg_uuid_t *from,
			  const pg_uuid_t *last)
{
	bool		forward = ScanDirectionIsForward(walk->direction);
	ScanKeyData keys[WITHIN_KEYS_MAX];
	int			count = 0;

	walk->low = forward ? *from : *last;
	walk->high = forward ? *last : *from;
	/* In the index's order, which is that of the keys. */
	for (AttrNumber column = 1; column < walk->columns; column++)
		ScanKeyInit(&keys[count++], column, BTEqualStrategyNumber, F_INT4EQ,
					Int32GetDatum(column == walk->organization_column ?
								  walk->organization : value));
	ScanKeyInit(&keys[count++], walk->columns, BTGreaterEqualStrategyNumber,
				F_UUID_GE, UUIDPGetDatum(&walk->low));
	ScanKeyInit(&keys[count++], walk->columns, BTLessEqualStrategyNumber,
				F_UUID_LE, UUIDPGetDatum(&walk->high));
	use_scan(walk, &walk->within, count);
	index_rescan(walk->scan, keys, count, NULL, 0);
}

void
act_walk_seek_across(ActWalk *walk, int32 value, const pg_uuid_t *from,
					 int32 until)
{
	bool		forward = ScanDirectionIsForward(walk->direction);
	StrategyNumber strategy = forward ?
		BTGreaterEqualStrategyNumber : BTLessEqualStrategyNumber;
	ScanKey		members = walk->members;
	ScanKeyData key;

	Assert(walk->columns == 3 && walk->organization_column == 1);
	walk->low = *from;
	walk->until = until;
	ScanKeyEntryInitialize(&members[0], SK_ROW_MEMBER, 1, strategy, INT4OID,
						   InvalidOid, F_BTINT4CMP,
						   Int32GetDatum(walk->organization));
	ScanKeyEntryInitialize(&members[1], SK_ROW_MEMBER, 2, strategy, INT4OID,
						   InvalidOid, F_BTINT4CMP, Int32GetDatum(value));
	ScanKeyEntryInitialize(&members[2], SK_ROW_MEMBER | SK_ROW_END, 3, strategy,
						   UUIDOID, InvalidOid, F_UUID_CMP,
						   UUIDPGetDatum(&walk->low));
	MemSet(&key, 0, sizeof(key));
	key.sk_flags = SK_ROW_HEADER;
	key.sk_attno = 1;
	key.sk_strategy = strategy;
	key.sk_argument = PointerGetDatum(members);
	use_scan(walk, &walk->across, 1);
	index_rescan(walk->scan, &key, 1, NULL, 0);
}

bool
act_walk_step(ActWalk *walk, int32 *value, ActPosting *posting)
{
	TupleDesc	descriptor = RelationGetDescr(walk->index);
	ItemPointer tid;
	Datum		datum;
	bool		isnull;

	CHECK_FOR_INTERRUPTS();
	tid = index_getnext_tid(walk->scan, walk->direction);
	if (tid == NULL)
		return false;

	*value = 0;
	if (walk->columns == 3)
	{
		/* A null ends it, too: it is beyond every value. */
		datum = index_getattr(walk->scan->xs_itup, walk->value_column, descriptor,
							  &isnull);
		if (isnull)
			return false;
		*value = DatumGetInt32(datum);
	}
	if (walk->scan == walk->across)
	{
		datum = index_getattr(walk->scan->xs_itup, 1, descriptor, &isnull);
		if (DatumGetInt32(datum) != walk->organization ||
			(ScanDirectionIsForward(walk->direction) ?
			 *value > walk->until : *value < walk->until))
			return false;
	}
	datum = index_getattr(walk->scan->xs_itup, walk->columns, descriptor,
						  &isnull);
	posting->id = *DatumGetUUIDP(datum);
	posting->tid = *tid;
	return true;
}
