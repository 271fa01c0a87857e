/*
 * numbers/summary.c
 *		activity.summary(): counts by family, event type, actor and on behalf of whom.
 *
 * Days (UTC) that are over, and had many events, are counted once, by maintain(): a row
 * of rollups for each (kind 6).  A summary adds these up and reads the events of the
 * rest.  Whatever gets a position afterwards in such a day, or waits for one, shows in
 * the rollups as published, or in the publisher's list: then that day is read, too, and
 * when the rollups are put together its row goes, to be made again.
 */
#include "activity.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/columns.h"
#include "base/own_row.h"
#include "event/event.h"
#include "feed/filter.h"
#include "feed/scan.h"
#include "feed/tally.h"
#include "numbers/cell.h"
#include "numbers/settled.h"
#include "stream/expiry.h"

#define ARG_SINCE 1
#define ARG_UNTIL 2

/* A day of fewer events is as quickly read. */
#define DAY_LEAST 200

/* In the column units, since a row counts both. */
#define ACTOR "actor"
#define ON_BEHALF "on_behalf_of"

PG_FUNCTION_INFO_V1(act_summary);
PG_FUNCTION_INFO_V1(act_summarize_days);

extern PGDLLEXPORT Datum act_summary(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum act_summarize_days(PG_FUNCTION_ARGS);

/* A day: its first quarter hour, and what is known of it. */
typedef struct Day
{
	int32		first;
	bool		skipped;		/* something is new there; or is counted already */
	int64		events;			/* of one to be counted */
	HeapTuple	row;			/* of one that is counted */
} Day;

typedef struct Days
{
	int			count;
	int			room;
	Day		   *days;			/* ascending */
} Days;

static void read_counted(Days *days, int32 organization, int32 first, int32 last);
static void read_busy(Days *days, int32 organization, int32 first, int32 last);
static Day *add_day(Days *days, int32 first);
static Day *find_day(const Days *days, int32 quarter);
static void skip_published(Days *days, int32 organization);
static void skip_unpublished(void *days, TupleTableSlot *row);
static void tally_events(ActTally *tally, const ActFeedFilter *filter);
static void tally_day(ActTally *tally, HeapTuple row);
static bool count_day(ActRowWriter *writer, int32 organization, const Day *day);
static int	compare_days(const void *a, const void *b);

/* activity.summary(organization, since, until) */
Datum
act_summary(PG_FUNCTION_ARGS)
{
	ActFeedFilter *filter =
		act_feed_filter_all(act_feed_filter_admit(fcinfo, -1));
	ActTally   *tally = act_tally_make();
	Days		days = {0};
	int32		first;
	int32		last;

	if (!PG_ARGISNULL(ARG_SINCE))
		act_feed_filter_since(filter, PG_GETARG_TIMESTAMPTZ(ARG_SINCE));
	if (!PG_ARGISNULL(ARG_UNTIL))
		act_feed_filter_until(filter, PG_GETARG_TIMESTAMPTZ(ARG_UNTIL));
	InitMaterializedSRF(fcinfo, 0);
	if (!filter->impossible &&
		act_settled_within(filter->organization, filter->earliest, filter->latest,
						   ACT_QUARTERS_OF_DAY, &first, &last))
		read_counted(&days, filter->organization, first, last);
	if (days.count > 0)
	{
		skip_published(&days, filter->organization);
		if (!act_settled_in_turn(filter->organization) ||
			!act_settled_lacks(filter->organization, skip_unpublished, &days))
			days.count = 0;
	}
	for (int i = 0; i < days.count; i++)
	{
		ActFeedFilter before = *filter;

		if (days.days[i].skipped)
			continue;
		act_feed_filter_until(&before, act_quarter_start(days.days[i].first));
		tally_events(tally, &before);
		tally_day(tally, days.days[i].row);
		act_feed_filter_since(filter,
							  act_quarter_start(days.days[i].first + ACT_QUARTERS_OF_DAY));
	}
	tally_events(tally, filter);
	act_tally_put(tally, (ReturnSetInfo *) fcinfo->resultinfo);
	return (Datum) 0;
}

/*
 * summarize_days(key integer, most bigint) RETURNS bigint: counts days that are over,
 * the newest first, until so many events are read; returns how many were.
 */
Datum
act_summarize_days(PG_FUNCTION_ARGS)
{
	int32		organization = PG_GETARG_INT32(0);
	TimestampTz yesterday = GetCurrentTimestamp() - USECS_PER_DAY;
	int64		done = 0;
	Days		days = {0};
	Days		counted = {0};
	ActRowWriter writer;
	int32		first;
	int32		last;

	if (!act_settled_in_turn(organization) ||
		!act_settled_within(organization, DT_NOBEGIN, yesterday, ACT_QUARTERS_OF_DAY, &first, &last))
		PG_RETURN_INT64(0);
	read_busy(&days, organization, first, last);
	if (days.count == 0)
		PG_RETURN_INT64(0);
	read_counted(&counted, organization, first, last);
	skip_published(&days, organization);
	act_row_begin_write(&writer, act_row_open("rollup", RowExclusiveLock));
	for (int i = days.count - 1; i >= 0 && done < PG_GETARG_INT64(1); i--)
		if (!days.days[i].skipped && days.days[i].events >= DAY_LEAST &&
			find_day(&counted, days.days[i].first) == NULL &&
			count_day(&writer, organization, &days.days[i]))
			done += days.days[i].events;
	act_row_end_write(&writer);
	PG_RETURN_INT64(done);
}

/* The days that are counted, from first until before last. */
static void
read_counted(Days *days, int32 organization, int32 first, int32 last)
{
	ActRowScan	scan;
	HeapTuple	row;

	act_cells_begin(&scan, organization, ACT_ROLLUP_SUMMARIES, last);
	while ((row = act_cells_next(&scan, first)) != NULL)
	{
		bool		isnull;
		int32		day = DatumGetInt32(heap_getattr(row, ACT_ROLLUP_FIRST,
													 RelationGetDescr(scan.rel), &isnull));

		/* They come in the order of the index; no other rows are ours. */
		if (day >= first && day % ACT_QUARTERS_OF_DAY == 0 && find_day(days, day) == NULL)
			add_day(days, day)->row = heap_copytuple(row);
	}
	act_row_end(&scan);
}

/* The days that had events, by how many, as the rollups by day and type say. */
static void
read_busy(Days *days, int32 organization, int32 first, int32 last)
{
	ActRowScan	scan;
	HeapTuple	row;

	act_cells_begin(&scan, organization, ACT_ROLLUP_DAILY_TYPES, last);
	while ((row = act_cells_next(&scan, first)) != NULL)
	{
		Datum	   *values[ACT_CELL_COLUMNS];
		bool	   *nulls[ACT_CELL_COLUMNS];
		int			count = act_cells_arrays(row, RelationGetDescr(scan.rel),
											 ACT_CELL_SET(ACT_ROLLUP_QUARTERS) |
											 ACT_CELL_SET(ACT_ROLLUP_EVENTS), values, nulls);

		for (int i = 0; i < count; i++)
		{
			int32		day = DatumGetInt32(values[ACT_CELL_AT(ACT_ROLLUP_QUARTERS)][i]);

			if (day < first || day >= last)
				continue;
			if (days->count == 0 || days->days[days->count - 1].first != day)
				add_day(days, day);
			days->days[days->count - 1].events +=
				DatumGetInt32(values[ACT_CELL_AT(ACT_ROLLUP_EVENTS)][i]);
		}
		act_cells_free(values, nulls);
	}
	act_row_end(&scan);
	qsort(days->days, days->count, sizeof(Day), compare_days);
}

static Day *
add_day(Days *days, int32 first)
{
	if (days->count == days->room)
	{
		days->room = Max(64, 2 * days->room);
		days->days = days->days == NULL ? palloc(days->room * sizeof(Day)) :
			repalloc_huge(days->days, days->room * sizeof(Day));
	}
	memset(&days->days[days->count], 0, sizeof(Day));
	days->days[days->count].first = first;
	return &days->days[days->count++];
}

/* The day of a quarter hour, or NULL. */
static Day *
find_day(const Days *days, int32 quarter)
{
	Day			key = {.first = quarter - quarter % ACT_QUARTERS_OF_DAY};

	return days->count == 0 ? NULL :
		bsearch(&key, days->days, days->count, sizeof(Day), compare_days);
}

/* Skips days in which there are events that are not put together yet. */
static void
skip_published(Days *days, int32 organization)
{
	ActRowScan	scan;
	HeapTuple	row;

	act_cells_begin(&scan, organization, ACT_ROLLUP_PUBLISHED, PG_INT32_MAX);
	while ((row = act_cells_next(&scan, PG_INT32_MIN)) != NULL)
	{
		Datum	   *values[ACT_CELL_COLUMNS];
		bool	   *nulls[ACT_CELL_COLUMNS];
		int			count = act_cells_arrays(row, RelationGetDescr(scan.rel),
											 ACT_CELL_SET(ACT_ROLLUP_QUARTERS), values, nulls);

		for (int i = 0; i < count; i++)
		{
			Day		   *day =
				find_day(days, DatumGetInt32(values[ACT_CELL_AT(ACT_ROLLUP_QUARTERS)][i]));

			if (day != NULL)
				day->skipped = true;
		}
		act_cells_free(values, nulls);
	}
	act_row_end(&scan);
}

static void
skip_unpublished(void *days, TupleTableSlot *row)
{
	bool		isnull;
	Datum		time = slot_getattr(row, ACT_EVENT_OCCURRED_AT, &isnull);
	Day		   *day = find_day(days, act_quarter_of(DatumGetTimestampTz(time)));

	if (day != NULL)
		day->skipped = true;
}

static void
tally_events(ActTally *tally, const ActFeedFilter *filter)
{
	ActFeedScan *scan;
	TupleTableSlot *row;

	if (filter->impossible || memcmp(&filter->low, &filter->high, UUID_LEN) > 0)
		return;
	scan = act_feed_scan_begin(filter, BackwardScanDirection, PG_INT16_MAX);
	while ((row = act_feed_scan_next(scan)) != NULL)
		act_tally_event(tally, row);
	act_feed_scan_end(scan);
}

/* Adds what a day was counted as. */
static void
tally_day(ActTally *tally, HeapTuple row)
{
	Relation	rel = act_row_open("rollup", AccessShareLock);
	ActCell    *cells;
	int			count = act_cells_read(row, RelationGetDescr(rel), &cells);

	for (int i = 0; i < count; i++)
	{
		const ActCell *cell = &cells[i];
		ActTallied	counted = {
			.is_type = !cell->typeless,.type = cell->type,.kind = cell->amount.resource,
			.id = cell->actor,.name = cell->amount.name,.events = cell->events,
			.latest = cell->last_at
		};

		counted.on_behalf = cell->amount.unit != NULL &&
			VARSIZE_ANY_EXHDR(cell->amount.unit) == strlen(ON_BEHALF);
		act_tally_add(tally, &counted);
	}
	table_close(rel, AccessShareLock);
}

/* Writes the day's row; false if the log has not what the rollups have. */
static bool
count_day(ActRowWriter *writer, int32 organization, const Day *day)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "activity day",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	ActFeedFilter *filter = act_feed_filter_all(organization);
	ActTally   *tally = act_tally_make();
	text	   *units[] = {cstring_to_text(ACTOR), cstring_to_text(ON_BEHALF)};
	ActTallied *counted;
	ActCell    *cells;
	const ActCell **row;
	int			count;

	act_feed_filter_since(filter, act_quarter_start(day->first));
	act_feed_filter_until(filter, act_quarter_start(day->first + ACT_QUARTERS_OF_DAY));
	tally_events(tally, filter);
	counted = act_tally_list(tally, &count);
	cells = MemoryContextAllocExtended(context, Max(count, 1) * sizeof(ActCell),
									   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	row = MemoryContextAllocHuge(context, Max(count, 1) * sizeof(ActCell *));
	for (int i = 0; i < count; i++)
	{
		row[i] = &cells[i];
		cells[i].organization = organization;
		cells[i].quarter = day->first;
		cells[i].typeless = !counted[i].is_type;
		cells[i].type = counted[i].type;
		cells[i].actor = counted[i].id;
		cells[i].amount.resource = counted[i].kind;
		cells[i].amount.name = counted[i].name;
		cells[i].amount.unit = counted[i].is_type ? NULL : units[counted[i].on_behalf];
		cells[i].events = (int32) counted[i].events;
		cells[i].first_at = cells[i].last_at = counted[i].latest;
	}
	if (count > 0)
		act_cells_write(writer, ACT_ROLLUP_SUMMARIES, row, count);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return count > 0;
}

static int
compare_days(const void *a, const void *b)
{
	int32		left = ((const Day *) a)->first;
	int32		right = ((const Day *) b)->first;

	return left < right ? -1 : left > right;
}
