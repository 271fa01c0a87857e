/*
 * feed/scan.c
 *		The events that a filter takes, in order, over all partitions.
 *
 * Partitions are months, so they are read one after another from the newest on
 * (or the oldest), and only until the reader has enough.  The default
 * partition may hold events of any time: its postings are merged in. It is
 * empty but for imports from years away, and then costs nothing.
 */
#include "activity.h"

#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/visibilitymap.h"
#include "miscadmin.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/predicate.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "catalog/pg_index.h"

#include "event/event.h"
#include "feed/scan.h"
#include "base/own_table.h"

/* Events read in vain before an exclusion is read the other way around. */
#define PATIENCE 1000

/* A partition and the times in it, [from, until). */
typedef struct Month
{
	Oid			relid;
	TimestampTz from;
	TimestampTz until;
} Month;

/* A partition that is being read. */
typedef struct Section
{
	MemoryContext context;		/* everything in here */
	Relation	heap;
	ActFeedSource	source;
	ActList    *list;
	bool		passed;			/* the list's posting was given away */
	IndexFetchTableData *fetch;
	TupleTableSlot *slot;
	Buffer		map;			/* of visibility, or InvalidBuffer */
} Section;

struct ActFeedScan
{
	const ActFeedFilter *filter;
	ScanDirection direction;
	int			expected;
	int			patience;
	ActRarity	rarities[4];	/* of intersections, as open_list makes them */
	MemoryContext context;		/* the scan's own */
	MemoryContext scratch;		/* reset for each row */
	Relation	parent;
	Month	   *months;			/* in the scan's order */
	int			nmonths;
	int			next_month;
	Section    *month;			/* NULL: none is open */
	Section    *spare;			/* the default partition; NULL: nothing in it */
	int64		limit;			/* 0: none */
	int64		read;
	bool		stopped;
	pg_uuid_t	position;
};

static void list_months(ActFeedScan *scan);
static TimestampTz bound_time(PartitionBoundInfo bounds, int i);
static Section *open_section(ActFeedScan *scan, Oid relid);
static void find_indexes(Section *section);
static ActList *open_list(ActFeedScan *scan, const ActFeedSource *source);
static void close_section(Section *section);
static void refresh(Section *section);
static Section *next_section(ActFeedScan *scan);
static bool fetch_row(Section *section, const ActPosting *posting);
static bool is_visible(Section *section);
static int64 count_section(Section *section);
static int64 count_postings(const ActFeedFilter *filter);

ActFeedScan *
act_feed_scan_begin(const ActFeedFilter *filter, ScanDirection direction,
					int expected)
{
	ActFeedScan *scan = palloc0(sizeof(ActFeedScan));

	scan->filter = filter;
	scan->direction = direction;
	scan->expected = expected;
	scan->patience = PATIENCE;
	scan->context = AllocSetContextCreate(CurrentMemoryContext,
										  "activity feed",
										  ALLOCSET_DEFAULT_SIZES);
	scan->scratch = AllocSetContextCreate(scan->context,
										  "activity feed row",
										  ALLOCSET_DEFAULT_SIZES);
	if (!filter->impossible)
		list_months(scan);
	return scan;
}

void
act_feed_scan_end(ActFeedScan *scan)
{
	if (scan->month != NULL)
		close_section(scan->month);
	if (scan->spare != NULL)
		close_section(scan->spare);
	if (scan->parent != NULL)
		table_close(scan->parent, AccessShareLock);
	MemoryContextDelete(scan->context);
	pfree(scan);
}

/*
 * Attaching a month that takes rows out of the default partition locks the
 * default partition alone against readers.  So it is locked first, and the
 * months are listed with that lock held: rows are found either here or there.
 */
static void
list_months(ActFeedScan *scan)
{
	const ActFeedFilter *filter = scan->filter;
	MemoryContext old = MemoryContextSwitchTo(scan->context);
	PartitionDesc partitions;
	PartitionBoundInfo bounds;
	Oid			spare;

	scan->parent = act_relation_open(ACT_REL_EVENT, AccessShareLock);
	partitions = RelationGetPartitionDesc(scan->parent, true);
	spare = get_default_oid_from_partdesc(partitions);
	if (OidIsValid(spare))
		scan->spare = open_section(scan, spare);

	partitions = RelationGetPartitionDesc(scan->parent, true);
	if (partitions->nparts > 0)
	{
		bounds = partitions->boundinfo;
		scan->months = palloc((bounds->ndatums + 1) * sizeof(Month));
		for (int i = 0; i <= bounds->ndatums; i++)
		{
			int			at = ScanDirectionIsForward(scan->direction) ?
			i : bounds->ndatums - i;
			Month	   *month = &scan->months[scan->nmonths];

			month->from = bound_time(bounds, at - 1);
			month->until = bound_time(bounds, at);
			if (bounds->indexes[at] < 0 || month->until <= filter->earliest ||
				month->from > filter->latest)
				continue;
			month->relid = partitions->oids[bounds->indexes[at]];
			scan->nmonths++;
		}
	}
	MemoryContextSwitchTo(old);
}

/* The i-th bound; before the first and after the last there is no end. */
static TimestampTz
bound_time(PartitionBoundInfo bounds, int i)
{
	if (i < 0)
		return DT_NOBEGIN;
	if (i >= bounds->ndatums)
		return DT_NOEND;
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

/* NULL for a partition that is gone or was never written to. */
static Section *
open_section(ActFeedScan *scan, Oid relid)
{
	const ActFeedFilter *filter = scan->filter;
	Relation	heap = try_relation_open(relid, AccessShareLock);
	MemoryContext context;
	MemoryContext old;
	Section    *section;

	if (heap == NULL)
		return NULL;
	act_relation_check(heap, ACT_REL_EVENT);
	if (RelationGetNumberOfBlocks(heap) == 0)
	{
		/* That there is nothing has been read, too. */
		PredicateLockRelation(heap, GetActiveSnapshot());
		relation_close(heap, AccessShareLock);
		return NULL;
	}
	context = AllocSetContextCreate(scan->context, "activity feed month",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	section = palloc0(sizeof(Section));
	section->context = context;
	section->heap = heap;
	section->source.heap = heap;
	section->source.snapshot = GetActiveSnapshot();
	section->source.direction = scan->direction;
	section->source.organization = filter->organization;
	section->source.low = filter->low;
	section->source.high = filter->high;
	section->source.batch = scan->expected;
	section->map = InvalidBuffer;
	find_indexes(section);
	section->list = open_list(scan, &section->source);
	MemoryContextSwitchTo(old);
	return section;
}

/* The indexes by their columns: names are for people. */
static void
find_indexes(Section *section)
{
	static const AttrNumber value[ACT_INDEX_COUNT] = {
		[ACT_INDEX_KEY] = ACT_EVENT_ID,
		[ACT_INDEX_TYPE] = ACT_EVENT_TYPE,
		[ACT_INDEX_ACTOR] = ACT_EVENT_ACTOR_HASH,
		[ACT_INDEX_SUBJECT] = ACT_EVENT_SUBJECT_HASH,
		[ACT_INDEX_BEHALF] = ACT_EVENT_ON_BEHALF_OF_HASH
	};
	List	   *oids = RelationGetIndexList(section->heap);
	ListCell   *cell;

	foreach(cell, oids)
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID,
											ObjectIdGetDatum(lfirst_oid(cell)));
		Form_pg_index form;
		int			count;

		if (!HeapTupleIsValid(tuple))
			continue;
		form = (Form_pg_index) GETSTRUCT(tuple);
		count = form->indnkeyatts;
		if (form->indisvalid && (count == 2 || count == 3) &&
			(heap_attisnull(tuple, Anum_pg_index_indpred, NULL) ||
			 form->indkey.values[0] == ACT_EVENT_ON_BEHALF_OF_HASH) &&
			form->indkey.values[count - 1] == ACT_EVENT_ID)
			for (int i = 0; i < ACT_INDEX_COUNT; i++)
			{
				bool		hashed = i != ACT_INDEX_KEY && i != ACT_INDEX_TYPE;

				if (form->indkey.values[hashed ? 1 : 0] == ACT_EVENT_ORGANIZATION &&
					form->indkey.values[hashed ? 0 : 1] == value[i])
					section->source.indexes[i] = lfirst_oid(cell);
			}
		ReleaseSysCache(tuple);
	}
	for (int i = 0; i < ACT_INDEX_COUNT; i++)
		if (!OidIsValid(section->source.indexes[i]))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("partition \"%s\" lacks an index",
							RelationGetRelationName(section->heap)),
					 errhint("Partitions are made by activity.maintain().")));
	list_free(oids);
}

/*
 * The filters as lists: first those that have the fewest events (on behalf of
 * somebody, about one subject), and nothing else is opened where that finds none.
 */
static ActList *
open_list(ActFeedScan *scan, const ActFeedSource *source)
{
	const ActFeedFilter *filter = scan->filter;
	ActList    *list = NULL;
	const ActValues *values[] = {&filter->behalves, &filter->subjects,
	&filter->actors, &filter->types};
	static const ActIndex indexes[] = {ACT_INDEX_BEHALF, ACT_INDEX_SUBJECT,
	ACT_INDEX_ACTOR, ACT_INDEX_TYPE};

	for (int i = 0; i < lengthof(values); i++)
	{
		if (values[i]->negated || (list != NULL && !list->valid))
			continue;
		if (list == NULL)
			list = act_list_values(source, indexes[i], values[i]);
		else
			list = act_list_both(list, indexes[i], values[i],
								 &scan->rarities[i]);
	}
	if (filter->types.negated && filter->types.count > 0 &&
		(list == NULL || list->valid))
		list = act_list_without(source, list, &filter->types,
								&scan->patience);
	if (list == NULL)
		list = act_list_one(source, ACT_INDEX_KEY, 0);
	return list;
}

static void
close_section(Section *section)
{
	section->list->close(section->list);
	if (BufferIsValid(section->map))
		ReleaseBuffer(section->map);
	if (section->fetch != NULL)
	{
		table_index_fetch_end(section->fetch);
		ExecDropSingleTupleTableSlot(section->slot);
	}
	relation_close(section->heap, AccessShareLock);
	MemoryContextDelete(section->context);
}

/*
 * Moves on from a posting that was given away: not before the reader comes
 * back, because to find the next one may mean to read all of history.
 */
static void
refresh(Section *section)
{
	MemoryContext old;

	if (section == NULL || !section->passed)
		return;
	old = MemoryContextSwitchTo(section->context);
	section->list->advance(section->list);
	section->passed = false;
	MemoryContextSwitchTo(old);
}

/* The section whose posting comes next, NULL at the end of all. */
static Section *
next_section(ActFeedScan *scan)
{
	Section    *spare = scan->spare;

	refresh(spare);
	refresh(scan->month);
	while (scan->month == NULL || !scan->month->list->valid)
	{
		if (scan->month != NULL)
			close_section(scan->month);
		scan->month = NULL;
		if (scan->next_month == scan->nmonths)
			break;
		scan->month = open_section(scan, scan->months[scan->next_month].relid);
		scan->next_month++;
	}
	if (spare == NULL || !spare->list->valid)
		return scan->month;
	if (scan->month == NULL ||
		act_id_order(scan->direction, &spare->list->at.id,
					 &scan->month->list->at.id) < 0)
		return spare;
	return scan->month;
}

TupleTableSlot *
act_feed_scan_next(ActFeedScan *scan)
{
	Section    *section;

	while (!scan->stopped && (section = next_section(scan)) != NULL)
	{
		ActPosting *posting = &section->list->at;
		MemoryContext old;
		bool		found;

		CHECK_FOR_INTERRUPTS();
		if (scan->limit > 0 && scan->read == scan->limit)
		{
			scan->stopped = true;
			break;
		}
		section->passed = true;
		if (!fetch_row(section, posting))
			continue;

		scan->read++;
		scan->position = posting->id;
		MemoryContextReset(scan->scratch);
		old = MemoryContextSwitchTo(scan->scratch);
		found = act_feed_filter_takes(scan->filter, section->slot);
		MemoryContextSwitchTo(old);
		if (found)
			return section->slot;
	}
	return NULL;
}

bool
act_feed_filter_is_indexed(const ActFeedFilter *filter)
{
	return filter->actor == NULL && filter->subject == NULL &&
		filter->on_behalf_of == NULL && filter->search == NULL;
}

void
act_feed_scan_skip(ActFeedScan *scan, int64 events)
{
	Section    *section;

	Assert(act_feed_filter_is_indexed(scan->filter));
	while (events > 0 && (section = next_section(scan)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		section->passed = true;
		if (is_visible(section))
			events--;
	}
}

void
act_feed_scan_limit(ActFeedScan *scan, int64 events)
{
	scan->limit = events;
}

bool
act_feed_scan_stopped(ActFeedScan *scan, pg_uuid_t *position)
{
	*position = scan->position;
	return scan->stopped;
}

/* Puts the row into the section's slot; false if the snapshot has it not. */
static bool
fetch_row(Section *section, const ActPosting *posting)
{
	ItemPointerData tid = posting->tid;
	bool		call_again = false;

	if (section->fetch == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(section->context);

		section->fetch = table_index_fetch_begin(section->heap);
		section->slot = table_slot_create(section->heap, NULL);
		MemoryContextSwitchTo(old);
	}
	return table_index_fetch_tuple(section->fetch, &tid,
								   section->source.snapshot, section->slot,
								   &call_again, NULL);
}

int64
act_feed_scan_count(const ActFeedFilter *filter)
{
	ActFeedFilter part = *filter;
	int64		count = 0;

	if (!act_feed_filter_is_indexed(filter))
	{
		ActFeedScan *scan = act_feed_scan_begin(filter, BackwardScanDirection,
												PG_INT16_MAX);

		while (act_feed_scan_next(scan) != NULL)
			count++;
		act_feed_scan_end(scan);
		return count;
	}

	/* The indexes say it: one type after another, or all less these. */
	part.types.negated = true;
	part.types.count = 0;
	if (filter->types.negated)
		count = count_postings(&part);
	part.types.negated = false;
	part.types.count = 1;
	for (int i = 0; i < filter->types.count; i++)
	{
		int64		ofthese;

		part.types.list = &filter->types.list[i];
		ofthese = count_postings(&part);
		count += filter->types.negated ? -ofthese : ofthese;
	}
	return count;
}

/* Counts what a single list has: everything, or one type. */
static int64
count_postings(const ActFeedFilter *filter)
{
	ActFeedScan *scan = act_feed_scan_begin(filter, ForwardScanDirection, 0);
	int64		count = 0;

	if (scan->spare != NULL)
		count += count_section(scan->spare);
	for (int i = 0; i < scan->nmonths; i++)
	{
		Section    *section = open_section(scan, scan->months[i].relid);

		if (section == NULL)
			continue;
		count += count_section(section);
		close_section(section);
	}
	act_feed_scan_end(scan);
	return count;
}

/*
 * Whether the snapshot has the event at which the list stands, asked as an
 * index-only scan does it: the heap is not asked about pages on which all is visible.
 * The list stands on a pinned index page meanwhile, so that VACUUM can't give the
 * row's place to another in between.
 */
static bool
is_visible(Section *section)
{
	ActList    *list = section->list;
	BlockNumber block = ItemPointerGetBlockNumber(&list->at.tid);

	if (!VM_ALL_VISIBLE(section->heap, block, &section->map))
		return fetch_row(section, &list->at);
	PredicateLockPage(section->heap, block, section->source.snapshot);
	return true;
}

static int64
count_section(Section *section)
{
	int64		count = 0;

	while (section->list->valid)
	{
		if (is_visible(section))
			count++;
		section->list->advance(section->list);
	}
	return count;
}
