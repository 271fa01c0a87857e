/*
 * stream/stream.c
 *		The published order, as it is stored: segments, positions, hashes.
 *
 * The stream is cut into segments so that retention can drop it in whole
 * tables, and positions go on over the cuts.  Everything is read by direct
 * probes of the segments' indexes, newest or oldest first: no plan can go wrong,
 * and the publisher, which asks for the heads of many organizations per batch,
 * pays for the descent alone.
 */
#include "activity.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_am.h"
#include "common/int.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "base/own_table.h"
#include "stream/stream.h"

/* Where rows are: a segment that is kept, or the anchors. */
typedef struct Place
{
	int32		number;			/* of the segment */
	Oid			relid;
	Relation	rel;			/* NULL until used */
	Relation	index;
	TupleTableSlot *slot;
} Place;

struct ActStreamReader
{
	MemoryContext context;
	Snapshot	snapshot;
	Place		anchors;
	int			nplaces;
	Place	   *places;			/* ascending by segment */
	int			nsegments;
	ActSegment *segments;		/* NULL until asked for */

	/* What act_stream_next goes on with. */
	int32		organization;
	int64		after;
	int			current;		/* index into places */
	IndexScanDesc scan;			/* NULL: the current place was not begun */
};

static void open_place(ActStreamReader *stream, Place *place);
static void close_place(Place *place);
static bool probe(ActStreamReader *stream, Place *place, int32 organization,
				  StrategyNumber strategy, int64 position,
				  ScanDirection direction, ActStreamRow *row);
static IndexScanDesc begin_scan(ActStreamReader *stream, Place *place,
								int32 organization, StrategyNumber strategy,
								int64 position);
static void read_row(const Place *place, bool is_anchor, ActStreamRow *row);
static void read_segments(ActStreamReader *stream);

ActStreamReader *
act_stream_open(Snapshot snapshot)
{
	ActStreamReader  *stream = palloc0(sizeof(ActStreamReader));
	Relation	parent = act_relation_open(ACT_REL_STREAM, AccessShareLock);
	PartitionDesc partitions;
	PartitionBoundInfo bounds;

	/* A lock that the transaction has already brings no news. */
	AcceptInvalidationMessages();
	partitions = RelationGetPartitionDesc(parent, true);
	bounds = partitions->boundinfo;
	stream->context = CurrentMemoryContext;
	stream->snapshot = snapshot;
	stream->anchors.relid = act_relation_oid(ACT_REL_STREAM_ANCHOR);
	if (partitions->nparts > 0)
	{
		/* List bounds are in the order of their values. */
		stream->places = palloc0(partitions->nparts * sizeof(Place));
		for (int i = 0; i < bounds->ndatums; i++)
		{
			Place	   *place = &stream->places[stream->nplaces++];

			place->number = DatumGetInt32(bounds->datums[i][0]);
			place->relid = partitions->oids[bounds->indexes[i]];
		}
	}
	table_close(parent, NoLock);
	return stream;
}

void
act_stream_open_all(ActStreamReader *stream)
{
	for (int i = 0; i < stream->nplaces; i++)
		open_place(stream, &stream->places[i]);
	open_place(stream, &stream->anchors);
}

void
act_stream_close(ActStreamReader *stream)
{
	if (stream->scan != NULL)
		index_endscan(stream->scan);
	for (int i = 0; i < stream->nplaces; i++)
		close_place(&stream->places[i]);
	close_place(&stream->anchors);
	if (stream->places != NULL)
		pfree(stream->places);
	if (stream->segments != NULL)
		pfree(stream->segments);
	pfree(stream);
}

bool
act_stream_newest(ActStreamReader *stream, int32 organization, ActStreamRow *row)
{
	for (int i = stream->nplaces - 1; i >= 0; i--)
		if (probe(stream, &stream->places[i], organization,
				  BTGreaterEqualStrategyNumber, 0, BackwardScanDirection, row))
			return true;
	return act_stream_anchored(stream, organization, row);
}

bool
act_stream_anchored(ActStreamReader *stream, int32 organization, ActStreamRow *row)
{
	return probe(stream, &stream->anchors, organization,
				 BTGreaterEqualStrategyNumber, 0, BackwardScanDirection, row);
}

bool
act_stream_at(ActStreamReader *stream, int32 organization, int64 position,
			  ActStreamRow *row)
{
	for (int i = stream->nplaces - 1; i >= 0; i--)
		if (probe(stream, &stream->places[i], organization,
				  BTEqualStrategyNumber, position, ForwardScanDirection, row))
			return true;
	return act_stream_anchor_at(stream, organization, position, row);
}

bool
act_stream_anchor_at(ActStreamReader *stream, int32 organization,
					 int64 position, ActStreamRow *row)
{
	return probe(stream, &stream->anchors, organization,
				 BTEqualStrategyNumber, position, ForwardScanDirection, row);
}

/*
 * Begins with the newest segment that has the organization at or before the
 * position, or else with the oldest.
 */
void
act_stream_seek(ActStreamReader *stream, int32 organization, int64 after)
{
	ActStreamRow row;

	if (stream->scan != NULL)
		index_endscan(stream->scan);
	stream->scan = NULL;
	stream->organization = organization;
	stream->after = after;
	stream->current = 0;
	for (int i = stream->nplaces - 1; i > 0; i--)
		if (probe(stream, &stream->places[i], organization,
				  BTGreaterEqualStrategyNumber, 0, ForwardScanDirection, &row) &&
			row.position <= after + 1)
		{
			stream->current = i;
			break;
		}
}

bool
act_stream_next(ActStreamReader *stream, ActStreamRow *row)
{
	while (stream->current < stream->nplaces)
	{
		Place	   *place = &stream->places[stream->current];

		if (stream->scan == NULL)
		{
			open_place(stream, place);
			stream->scan = begin_scan(stream, place, stream->organization,
									  BTGreaterStrategyNumber, stream->after);
		}
		if (index_getnext_slot(stream->scan, ForwardScanDirection, place->slot))
		{
			read_row(place, false, row);
			return true;
		}
		index_endscan(stream->scan);
		stream->scan = NULL;
		stream->current++;
	}
	return false;
}

const ActSegment *
act_stream_segments(ActStreamReader *stream, int *count)
{
	if (stream->segments == NULL)
		read_segments(stream);
	*count = stream->nsegments;
	return stream->segments;
}

const ActSegment *
act_stream_segment(ActStreamReader *stream, int32 number)
{
	int			count;
	const ActSegment *segments = act_stream_segments(stream, &count);

	for (int i = 0; i < count; i++)
		if (segments[i].number == number)
			return &segments[i];
	elog(ERROR, "segment %d of the stream is not known", number);
	return NULL;				/* keep compiler quiet */
}

char *
act_stream_cursor(int32 epoch, int64 position)
{
	return psprintf("%d." INT64_FORMAT, epoch, position);
}

/* Digits, a full stop, digits: what we printed, and nothing like it. */
void
act_stream_parse_cursor(const char *cursor, int32 *epoch, int64 *position)
{
	const char *dot = strchr(cursor, '.');
	int64		value[2] = {0, 0};
	bool		valid = dot != NULL && dot > cursor && dot[1] != '\0';

	for (const char *c = cursor; valid && *c != '\0'; c++)
	{
		int64	   *part = &value[c > dot ? 1 : 0];

		if (c == dot)
			continue;
		valid = *c >= '0' && *c <= '9' &&
			(*c != '0' || *part != 0 || c[1] == '\0' || c + 1 == dot);
		if (valid && (pg_mul_s64_overflow(*part, 10, part) ||
					  pg_add_s64_overflow(*part, *c - '0', part)))
			valid = false;
	}
	if (!valid || value[0] > PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_ACT_BAD_CURSOR),
				 errmsg("\"%.64s\" is no cursor of a stream", cursor),
				 errhint("Pass the cursor of the last event that was handled, or NULL for the beginning.")));
	*epoch = (int32) value[0];
	*position = value[1];
}

Oid
act_stream_key(Relation segment)
{
	AttrNumber	key[2] = {ACT_STREAM_ORGANIZATION, ACT_STREAM_POSITION};
	Oid			index = act_relation_index_on(segment, 2, key);

	if (!OidIsValid(index))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("stream segment \"%s\" has lost its index",
						RelationGetRelationName(segment)),
				 errhint("Create a unique index on its columns (organization, position).")));
	return index;
}

/* The anchors have position and organization the other way round. */
static void
open_place(ActStreamReader *stream, Place *place)
{
	bool		is_anchor = place == &stream->anchors;
	Oid			index;
	MemoryContext old;

	if (place->rel != NULL)
		return;
	old = MemoryContextSwitchTo(stream->context);
	place->rel = table_open(place->relid, AccessShareLock);
	act_relation_check(place->rel,
					   is_anchor ? ACT_REL_STREAM_ANCHOR : ACT_REL_STREAM);
	index = is_anchor ? act_relation_oid(ACT_REL_STREAM_ANCHOR_PKEY) :
		act_stream_key(place->rel);
	place->index = index_open(index, AccessShareLock);
	if (is_anchor)
		act_relation_check_index(place->index, place->rel, "12");
	place->slot = table_slot_create(place->rel, NULL);
	MemoryContextSwitchTo(old);
}

static void
close_place(Place *place)
{
	if (place->rel == NULL)
		return;
	ExecDropSingleTupleTableSlot(place->slot);
	index_close(place->index, NoLock);
	table_close(place->rel, NoLock);
	place->rel = NULL;
}

/* The first row in this direction, if there is one. */
static bool
probe(ActStreamReader *stream, Place *place, int32 organization,
	  StrategyNumber strategy, int64 position, ScanDirection direction,
	  ActStreamRow *row)
{
	IndexScanDesc scan;
	bool		found;

	open_place(stream, place);
	scan = begin_scan(stream, place, organization, strategy, position);
	found = index_getnext_slot(scan, direction, place->slot);
	if (found)
		read_row(place, place == &stream->anchors, row);
	ExecClearTuple(place->slot);
	index_endscan(scan);
	return found;
}

static IndexScanDesc
begin_scan(ActStreamReader *stream, Place *place, int32 organization,
		   StrategyNumber strategy, int64 position)
{
	ScanKeyData keys[2];
	IndexScanDesc scan;
	RegProcedure compare = strategy == BTEqualStrategyNumber ? F_INT8EQ :
		strategy == BTGreaterStrategyNumber ? F_INT8GT : F_INT8GE;

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(organization));
	ScanKeyInit(&keys[1], 2, strategy, compare, Int64GetDatum(position));
	scan = act_compat_index_beginscan(place->rel, place->index,
									  stream->snapshot, 2);
	index_rescan(scan, keys, 2, NULL, 0);
	return scan;
}

static void
read_row(const Place *place, bool is_anchor, ActStreamRow *row)
{
	TupleTableSlot *slot = place->slot;
	bytea	   *hash;

	slot_getallattrs(slot);
	memset(row, 0, sizeof(ActStreamRow));
	if (is_anchor)
	{
		row->organization = DatumGetInt32(slot->tts_values[0]);
		row->position = DatumGetInt64(slot->tts_values[1]);
		row->segment = DatumGetInt32(slot->tts_values[2]);
		hash = DatumGetByteaPP(slot->tts_values[3]);
	}
	else
	{
		row->position = DatumGetInt64(slot->tts_values[ACT_STREAM_POSITION - 1]);
		row->organization =
			DatumGetInt32(slot->tts_values[ACT_STREAM_ORGANIZATION - 1]);
		row->segment = DatumGetInt32(slot->tts_values[ACT_STREAM_SEGMENT - 1]);
		row->id = *DatumGetUUIDP(slot->tts_values[ACT_STREAM_ID - 1]);
		hash = DatumGetByteaPP(slot->tts_values[ACT_STREAM_HASH - 1]);
	}
	/* Another length is somebody's tampering: it matches nothing. */
	if (VARSIZE_ANY_EXHDR(hash) == PG_SHA256_DIGEST_LENGTH)
		memcpy(row->hash, VARDATA_ANY(hash), PG_SHA256_DIGEST_LENGTH);
}

static int
compare_segments(const void *a, const void *b)
{
	int32		left = ((const ActSegment *) a)->number;
	int32		right = ((const ActSegment *) b)->number;

	return left < right ? -1 : left > right;
}

/* The table has a row a month: it is read whole. */
static void
read_segments(ActStreamReader *stream)
{
	Relation	rel = act_relation_open(ACT_REL_SEGMENT, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TableScanDesc scan = table_beginscan(rel, stream->snapshot, 0, NULL);
	int			room = 16;

	stream->segments = MemoryContextAlloc(stream->context,
										  room * sizeof(ActSegment));
	stream->nsegments = 0;
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		ActSegment *segment;

		if (stream->nsegments == room)
		{
			room *= 2;
			stream->segments = repalloc(stream->segments,
										room * sizeof(ActSegment));
		}
		segment = &stream->segments[stream->nsegments++];
		slot_getallattrs(slot);
		segment->number = DatumGetInt32(slot->tts_values[0]);
		segment->epoch = DatumGetInt32(slot->tts_values[1]);
		segment->started_at = DatumGetTimestampTz(slot->tts_values[2]);
		segment->identity.system_identifier = DatumGetInt64(slot->tts_values[3]);
		segment->timeline = DatumGetInt64(slot->tts_values[4]);
		segment->identity.database = DatumGetInt64(slot->tts_values[5]);
		segment->identity.relation = DatumGetInt64(slot->tts_values[6]);
		segment->format = DatumGetInt32(slot->tts_values[7]);
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, AccessShareLock);
	qsort(stream->segments, stream->nsegments, sizeof(ActSegment),
		  compare_segments);
}
