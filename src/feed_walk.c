/*
 * feed_walk.c
 *		An ordered walk over one index of one partition, without the heap.
 *
 * A page of the feed must cost the same whatever the planner believes, so the
 * index is read directly.  Both ends of a walk are row comparisons, such as
 * (organization, type, id) <= ($1, $2, $3), because these alone let a btree
 * start in the middle of one value and run on into the next: that is what
 * spares a descent for each event type that isn't there.
 */
#include "activity.h"

#include "access/nbtree.h"
#include "access/relscan.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

#include "compat.h"
#include "feed_walk.h"

#define COLUMNS_MAX 3

/* A row comparison: its members, and the key that holds them. */
typedef struct Bound
{
	ScanKeyData members[COLUMNS_MAX];
	pg_uuid_t	id;				/* what the last member points at */
} Bound;

struct ActWalk
{
	Relation	index;
	IndexScanDesc scan;
	ScanDirection direction;
	int32		organization;
	int			columns;		/* 2, or 3 with a middle column */
	Bound		low;
	Bound		high;
};

static void set_bound(ActWalk *walk, Bound *bound, ScanKey key,
					  StrategyNumber strategy, const ActPlace *place);

ActWalk *
act_walk_open(Relation heap, Oid index, Snapshot snapshot,
			  ScanDirection direction, int32 organization)
{
	ActWalk    *walk = palloc0(sizeof(ActWalk));

	walk->index = index_open(index, AccessShareLock);
	walk->direction = direction;
	walk->organization = organization;
	walk->columns = IndexRelationGetNumberOfKeyAttributes(walk->index);
	Assert(walk->columns == 2 || walk->columns == 3);
	walk->scan = act_compat_index_beginscan(heap, walk->index, snapshot, 2);
	walk->scan->xs_want_itup = true;
	return walk;
}

void
act_walk_close(ActWalk *walk)
{
	index_endscan(walk->scan);
	index_close(walk->index, AccessShareLock);
	pfree(walk);
}

void
act_walk_seek(ActWalk *walk, const ActPlace *from, const ActPlace *last)
{
	bool		forward = ScanDirectionIsForward(walk->direction);
	ScanKeyData keys[2];

	set_bound(walk, &walk->low, &keys[0], BTGreaterEqualStrategyNumber,
			  forward ? from : last);
	set_bound(walk, &walk->high, &keys[1], BTLessEqualStrategyNumber,
			  forward ? last : from);
	index_rescan(walk->scan, keys, 2, NULL, 0);
}

bool
act_walk_step(ActWalk *walk, int32 *value, ActPosting *posting)
{
	ItemPointer tid;
	TupleDesc	descriptor = RelationGetDescr(walk->index);
	Datum		datum;
	bool		isnull;

	CHECK_FOR_INTERRUPTS();
	tid = index_getnext_tid(walk->scan, walk->direction);
	if (tid == NULL)
		return false;

	*value = 0;
	if (walk->columns == 3)
	{
		datum = index_getattr(walk->scan->xs_itup, 2, descriptor, &isnull);
		*value = DatumGetInt32(datum);
	}
	datum = index_getattr(walk->scan->xs_itup, walk->columns, descriptor,
						  &isnull);
	posting->id = *DatumGetUUIDP(datum);
	posting->tid = *tid;
	return true;
}

/*
 * Fills in one end.  Events without an actor or a subject have a null in the
 * middle column; no row comparison that gets that far is true of them.
 */
static void
set_bound(ActWalk *walk, Bound *bound, ScanKey key, StrategyNumber strategy,
		  const ActPlace *place)
{
	ScanKey		members = bound->members;
	int			last = walk->columns - 1;

	bound->id = place->id;
	ScanKeyEntryInitialize(&members[0], SK_ROW_MEMBER, 1, strategy, INT4OID,
						   InvalidOid, F_BTINT4CMP,
						   Int32GetDatum(walk->organization));
	if (last == 2)
		ScanKeyEntryInitialize(&members[1], SK_ROW_MEMBER, 2, strategy, INT4OID,
							   InvalidOid, F_BTINT4CMP,
							   Int32GetDatum(place->value));
	ScanKeyEntryInitialize(&members[last], SK_ROW_MEMBER | SK_ROW_END, last + 1,
						   strategy, UUIDOID, InvalidOid, F_UUID_CMP,
						   UUIDPGetDatum(&bound->id));

	MemSet(key, 0, sizeof(ScanKeyData));
	key->sk_flags = SK_ROW_HEADER;
	key->sk_attno = 1;
	key->sk_strategy = strategy;
	key->sk_subtype = InvalidOid;
	key->sk_argument = PointerGetDatum(members);
}
