/*
 * event/lookup.c
 *		Finding events by their ids.
 *
 * An id tells its time, and so its partition, where one index probe finds it.
 * What is not there may be in the default partition, which has what came before
 * its month was made.  The snapshot is older than our list of partitions: had a
 * row been moved in between, the snapshot would still show it where it was.
 *
 * Who reads a stream asks for the ids of one organization in an order that is
 * nearly theirs.  So after two ascending ids the scan goes on from there, entry by
 * entry, and descends into the index again only if the next id is far off.
 */
#include "activity.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "miscadmin.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "event/event.h"
#include "event/lookup.h"
#include "base/own_table.h"

typedef struct Part
{
	Oid			relid;
	TimestampTz since;			/* [since, until), but for the default */
	TimestampTz until;
	Relation	rel;			/* NULL until used */
	Relation	index;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	int32		organization;	/* of the last probe; 0: there was none */
	pg_uuid_t	last;			/* its id */
	pg_uuid_t	from;			/* where the scan begins, which points here */
	bool		running;		/* the scan goes on from that id */
	bool		there;			/* and slot has its next row */
} Part;

/* Entries that are passed over before the index is descended into again. */
#define PASS_MOST 16

/* Of all events of an organization. */
typedef struct Walk
{
	int			part;
	IndexScanDesc scan;			/* in it; NULL: not begun */
} Walk;

struct ActLookup
{
	MemoryContext context;
	Snapshot	snapshot;
	int			nparts;
	Part	   *parts;			/* the default comes last, if there is one */
	bool		has_default;
	Walk		walk;
};

static TimestampTz bound_time(PartitionBoundInfo bounds, int i);
static void open_part(ActLookup *lookup, Part *part);
static void begin_walk(ActLookup *lookup, Part *part, int32 organization);
static bool probe(ActLookup *lookup, Part *part, int32 organization,
				  const pg_uuid_t *id);
static bool pass(Part *part, const pg_uuid_t *id, bool *found);
static int	compare(const pg_uuid_t *a, const pg_uuid_t *b);

ActLookup *
act_lookup_open(Snapshot snapshot)
{
	ActLookup  *lookup = palloc0(sizeof(ActLookup));
	Relation	parent = act_relation_open(ACT_REL_EVENT, AccessShareLock);
	PartitionDesc partitions;
	PartitionBoundInfo bounds;

	/* As in act_backlog_open: who moves rows to a new month has this lock. */
	LockRelationOid(act_relation_oid(ACT_REL_EVENT_DEFAULT), AccessShareLock);
	partitions = RelationGetPartitionDesc(parent, true);
	bounds = partitions->boundinfo;
	lookup->context = CurrentMemoryContext;
	lookup->snapshot = snapshot;
	lookup->parts = palloc0(Max(partitions->nparts, 1) * sizeof(Part));
	for (int i = 1; partitions->nparts > 0 && i < bounds->ndatums; i++)
	{
		Part	   *part;

		if (bounds->indexes[i] < 0)
			continue;
		part = &lookup->parts[lookup->nparts++];
		part->relid = partitions->oids[bounds->indexes[i]];
		part->since = bound_time(bounds, i - 1);
		part->until = bound_time(bounds, i);
	}
	if (partitions->nparts > 0 && bounds->default_index >= 0)
	{
		lookup->has_default = true;
		lookup->parts[lookup->nparts++].relid =
			partitions->oids[bounds->default_index];
	}
	table_close(parent, NoLock);
	return lookup;
}

void
act_lookup_close(ActLookup *lookup)
{
	if (lookup->walk.scan != NULL)
		index_endscan(lookup->walk.scan);
	for (int i = 0; i < lookup->nparts; i++)
	{
		Part	   *part = &lookup->parts[i];

		if (part->rel == NULL)
			continue;
		index_endscan(part->scan);
		ExecDropSingleTupleTableSlot(part->slot);
		index_close(part->index, NoLock);
		table_close(part->rel, NoLock);
	}
	pfree(lookup->parts);
	pfree(lookup);
}

TupleTableSlot *
act_lookup_event(ActLookup *lookup, int32 organization, const pg_uuid_t *id)
{
	int			low = 0;
	int			high = lookup->nparts - (lookup->has_default ? 1 : 0);
	TimestampTz time;

	if (!act_event_id_time(id, &time))
		high = 0;
	while (low < high)
	{
		int			middle = (low + high) / 2;
		Part	   *part = &lookup->parts[middle];

		if (time < part->since)
			high = middle;
		else if (time >= part->until)
			low = middle + 1;
		else if (probe(lookup, part, organization, id))
			return part->slot;
		else
			break;
	}
	if (lookup->has_default &&
		probe(lookup, &lookup->parts[lookup->nparts - 1], organization, id))
		return lookup->parts[lookup->nparts - 1].slot;
	return NULL;
}

bool
act_lookup_walk(ActLookup *lookup, int32 organization, int most, ActVisit visit,
				void *argument)
{
	Walk	   *walk = &lookup->walk;

	for (; walk->part < lookup->nparts; walk->part++)
	{
		Part	   *part = &lookup->parts[walk->part];

		open_part(lookup, part);
		part->running = false;	/* the slot is ours now */
		if (walk->scan == NULL)
			begin_walk(lookup, part, organization);
		while (most > 0 && index_getnext_slot(walk->scan, ForwardScanDirection, part->slot))
		{
			CHECK_FOR_INTERRUPTS();
			visit(part->slot, argument);
			most--;
		}
		if (most == 0)
			return true;
		index_endscan(walk->scan);
		walk->scan = NULL;
	}
	walk->part = 0;
	return false;
}

static void
begin_walk(ActLookup *lookup, Part *part, int32 organization)
{
	MemoryContext old = MemoryContextSwitchTo(lookup->context);
	ScanKeyData key;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(organization));
	lookup->walk.scan = act_compat_index_beginscan(part->rel, part->index,
												   lookup->snapshot, 1);
	index_rescan(lookup->walk.scan, &key, 1, NULL, 0);
	MemoryContextSwitchTo(old);
}

static TimestampTz
bound_time(PartitionBoundInfo bounds, int i)
{
	switch (bounds->kind[i][0])
	{
		case PARTITION_RANGE_DATUM_MINVALUE:
			return DT_NOBEGIN;
		case PARTITION_RANGE_DATUM_MAXVALUE:
			return DT_NOEND;
		default:
			return DatumGetTimestampTz(bounds->datums[i][0]);
	}
}

static void
open_part(ActLookup *lookup, Part *part)
{
	static const AttrNumber key[] = {ACT_EVENT_ORGANIZATION, ACT_EVENT_ID};
	MemoryContext old;
	Oid			index;

	if (part->rel != NULL)
		return;
	old = MemoryContextSwitchTo(lookup->context);
	part->rel = table_open(part->relid, AccessShareLock);
	act_relation_check(part->rel, ACT_REL_EVENT);
	index = act_relation_index_on(part->rel, lengthof(key), key);
	if (!OidIsValid(index))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("partition \"%s\" has lost its unique index",
						RelationGetRelationName(part->rel)),
				 errhint("CREATE UNIQUE INDEX ON _activity.%s (organization, id).",
						 RelationGetRelationName(part->rel))));
	part->index = index_open(index, AccessShareLock);
	part->slot = table_slot_create(part->rel, NULL);
	part->scan = act_compat_index_beginscan(part->rel, part->index,
											lookup->snapshot, 2);
	MemoryContextSwitchTo(old);
}

static bool
probe(ActLookup *lookup, Part *part, int32 organization, const pg_uuid_t *id)
{
	ScanKeyData keys[2];
	bool		ascending = part->organization == organization &&
		compare(&part->last, id) < 0;
	bool		found;

	open_part(lookup, part);
	part->organization = organization;
	part->last = *id;
	if (ascending && part->running && pass(part, id, &found))
		return found;
	part->running = ascending;
	part->from = *id;
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(organization));
	ScanKeyInit(&keys[1], 2,
				ascending ? BTGreaterEqualStrategyNumber : BTEqualStrategyNumber,
				ascending ? F_UUID_GE : F_UUID_EQ, UUIDPGetDatum(&part->from));
	index_rescan(part->scan, keys, 2, NULL, 0);
	part->there = index_getnext_slot(part->scan, ForwardScanDirection, part->slot);
	if (!ascending)
		return part->there;
	return pass(part, id, &found) && found;
}

/* Goes on to the id, or to where it would be; false if that is far off. */
static bool
pass(Part *part, const pg_uuid_t *id, bool *found)
{
	*found = false;
	for (int i = 0; part->there; i++)
	{
		bool		isnull;
		Datum		here;
		int			order;

		Assert(!TTS_EMPTY(part->slot));
		here = slot_getattr(part->slot, ACT_EVENT_ID, &isnull);
		order = compare(DatumGetUUIDP(here), id);
		*found = order == 0;
		if (order >= 0)
			return true;
		if (i == PASS_MOST)
			return false;
		part->there = index_getnext_slot(part->scan, ForwardScanDirection,
										 part->slot);
	}
	return true;
}

static int
compare(const pg_uuid_t *a, const pg_uuid_t *b)
{
	return memcmp(a, b, UUID_LEN);
}
