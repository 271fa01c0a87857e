/*
 * numbers/total.c
 *		How many events a filter takes, and where the n-th of them is: by the rollups.
 *
 * Of whole quarter hours, or of days where types are asked for, the rollups say it
 * (rollup.sql: kinds 4 and 5, and 0 for what is new).  What they do not have yet is
 * read in the publisher's list, and what is at both ends of the time is counted.
 * All with one snapshot, so that the sum is exactly what counting would give.
 */
#include "activity.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/columns.h"
#include "base/own_row.h"
#include "feed/scan.h"
#include "numbers/cell.h"
#include "numbers/settled.h"
#include "numbers/total.h"

/* So few are counted as quickly. */
#define COUNTED_EASILY 5000

/* Events of a bucket. */
typedef struct Cell
{
	int32		bucket;
	int32		events;
} Cell;

/* Ascending once all are there. */
typedef struct Cells
{
	int			count;
	int			room;
	Cell	   *cells;
} Cells;

struct ActTotal
{
	const ActFeedFilter *filter;
	int			width;			/* of a bucket, in quarter hours */
	int32		first;			/* buckets that are asked for, in quarter hours */
	int32		last;			/* not this one any more */
	int64		newer;			/* events after the last bucket */
	int64		count;			/* of all */
	Cells		settled;		/* a row for each month: many */
	Cells		fresh;
};

static bool is_easy(const ActFeedFilter *filter);
static void read_rollups(ActTotal *total, ActRollupKind kind, Cells *into);
static void read_row(ActTotal *total, HeapTuple row, TupleDesc desc, Cells *into);
static void add_unpublished(void *state, TupleTableSlot *row);
static void add(ActTotal *total, Cells *into, int32 quarter, int32 events);
static int	compare(const void *a, const void *b);
static int64 count_outside(const ActTotal *total, bool newer);

ActTotal *
act_total_make(const ActFeedFilter *filter)
{
	ActTotal   *total;

	if (filter->impossible || !act_feed_filter_is_indexed(filter) || is_easy(filter) ||
		!act_settled_in_turn(filter->organization))
		return NULL;
	total = palloc0(sizeof(ActTotal));
	total->filter = filter;
	total->width = act_values_any(&filter->types) ? 1 : ACT_QUARTERS_OF_DAY;
	if (!act_settled_within(filter->organization, filter->earliest, filter->latest,
							total->width, &total->first, &total->last) ||
		!act_settled_lacks(filter->organization, add_unpublished, total))
		return NULL;
	read_rollups(total, ACT_ROLLUP_PUBLISHED, &total->fresh);
	read_rollups(total, total->width == 1 ? ACT_ROLLUP_COUNTS : ACT_ROLLUP_DAILY_TYPES, &total->settled);
	qsort(total->settled.cells, total->settled.count, sizeof(Cell), compare);
	qsort(total->fresh.cells, total->fresh.count, sizeof(Cell), compare);
	total->newer = count_outside(total, true);
	total->count += total->newer + count_outside(total, false);
	return total;
}

int64
act_total_count(const ActTotal *total)
{
	return total->count;
}

int64
act_total_jump(const ActTotal *total, ActFeedFilter *filter, int64 skip)
{
	const Cell *settled = total->settled.cells + total->settled.count - 1;
	const Cell *fresh = total->fresh.cells + total->fresh.count - 1;
	int32		until = total->last;
	int64		passed = total->newer;

	if (skip < passed)
		return 0;
	for (;;)
	{
		bool		has_settled = total->settled.count > 0 && settled >= total->settled.cells;
		bool		has_fresh = total->fresh.count > 0 && fresh >= total->fresh.cells;
		int64		events = 0;
		int32		bucket;

		if (!has_settled && !has_fresh)
			break;
		bucket = Max(has_settled ? settled->bucket : PG_INT32_MIN,
					 has_fresh ? fresh->bucket : PG_INT32_MIN);
		for (; total->settled.count > 0 && settled >= total->settled.cells && settled->bucket == bucket; settled--)
			events += settled->events;
		for (; total->fresh.count > 0 && fresh >= total->fresh.cells && fresh->bucket == bucket; fresh--)
			events += fresh->events;
		if (passed + events > skip)
		{
			until = bucket + total->width;
			break;
		}
		passed += events;
		until = bucket;
	}
	act_feed_filter_until(filter, act_quarter_start(until));
	return passed;
}

/* Are there so few that they may as well be counted? */
static bool
is_easy(const ActFeedFilter *filter)
{
	ActFeedScan *scan = act_feed_scan_begin(filter, BackwardScanDirection, COUNTED_EASILY);
	bool		easy;

	act_feed_scan_skip(scan, COUNTED_EASILY);
	easy = act_feed_scan_next(scan) == NULL;
	act_feed_scan_end(scan);
	return easy;
}

static void
read_rollups(ActTotal *total, ActRollupKind kind, Cells *into)
{
	ActRowScan	scan;
	HeapTuple	row;

	act_cells_begin(&scan, total->filter->organization, kind, total->last);
	while ((row = act_cells_next(&scan, total->first)) != NULL)
		read_row(total, row, RelationGetDescr(scan.rel), into);
	act_row_end(&scan);
}

static void
read_row(ActTotal *total, HeapTuple row, TupleDesc desc, Cells *into)
{
	bool		any = total->width == 1;
	Datum	   *values[ACT_CELL_COLUMNS];
	bool	   *nulls[ACT_CELL_COLUMNS];
	int			count = act_cells_arrays(row, desc, ACT_CELL_SET(ACT_ROLLUP_QUARTERS) |
										 ACT_CELL_SET(ACT_ROLLUP_MEASURES) |
										 ACT_CELL_SET(ACT_ROLLUP_EVENTS) |
										 (any ? 0 : ACT_CELL_SET(ACT_ROLLUP_TYPES)),
										 values, nulls);
	const Datum *types = values[ACT_CELL_AT(ACT_ROLLUP_TYPES)];

	if (values[ACT_CELL_AT(ACT_ROLLUP_MEASURES)] == NULL || (!any && types == NULL))
		act_cells_complain();
	for (int i = 0; i < count; i++)
		if (DatumGetInt32(values[ACT_CELL_AT(ACT_ROLLUP_MEASURES)][i]) <= 0 &&
			(any || act_values_have(&total->filter->types, DatumGetInt32(types[i]))))
			add(total, into, DatumGetInt32(values[ACT_CELL_AT(ACT_ROLLUP_QUARTERS)][i]),
				DatumGetInt32(values[ACT_CELL_AT(ACT_ROLLUP_EVENTS)][i]));
	act_cells_free(values, nulls);
}

/* What has no position yet. */
static void
add_unpublished(void *state, TupleTableSlot *row)
{
	ActTotal   *total = state;
	bool		isnull;

	if (act_feed_filter_takes(total->filter, row))
		add(total, &total->fresh,
			act_quarter_of(DatumGetTimestampTz(slot_getattr(row, ACT_EVENT_OCCURRED_AT,
															&isnull))), 1);
}

static void
add(ActTotal *total, Cells *into, int32 quarter, int32 events)
{
	if (quarter < total->first || quarter >= total->last)
		return;
	if (into->count == into->room)
	{
		into->room = Max(1024, 2 * into->room);
		into->cells = into->cells == NULL ? palloc(into->room * sizeof(Cell)) :
			repalloc_huge(into->cells, into->room * sizeof(Cell));
	}
	into->cells[into->count].bucket = quarter - quarter % total->width;
	into->cells[into->count++].events = events;
	total->count += events;
}

static int
compare(const void *a, const void *b)
{
	int32		left = ((const Cell *) a)->bucket;
	int32		right = ((const Cell *) b)->bucket;

	return left < right ? -1 : left > right;
}

/* Events of the filter's time after the last bucket, or before the first. */
static int64
count_outside(const ActTotal *total, bool newer)
{
	ActFeedFilter part = *total->filter;

	if (newer)
		act_feed_filter_since(&part, act_quarter_start(total->last));
	else
		act_feed_filter_until(&part, act_quarter_start(total->first));
	return part.impossible || memcmp(&part.low, &part.high, UUID_LEN) > 0 ? 0 : act_feed_scan_count(&part);
}
