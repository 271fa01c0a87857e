/*
 * feed/feed.c
 *		activity.feed() and activity.feed_count().
 */
#include "activity.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "feed/entry.h"
#include "feed/feed.h"
#include "feed/read_note.h"
#include "feed/scan.h"

#define ARG_BEFORE		7
#define ARG_AFTER		8
#define ARG_PAGE_SIZE	9
#define ARG_VIEWER		10

#define COUNT_ARG_VIEWER 7

PG_FUNCTION_INFO_V1(act_feed);
PG_FUNCTION_INFO_V1(act_feed_count);

extern PGDLLEXPORT Datum act_feed(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum act_feed_count(PG_FUNCTION_ARGS);

int
act_feed_page_size(FunctionCallInfo fcinfo, int argument)
{
	int			size = PG_ARGISNULL(argument) ? ACT_FEED_PAGE_DEFAULT :
		PG_GETARG_INT32(argument);

	if (size < 1 || size > ACT_FEED_PAGE_MOST)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("page_size must be between 1 and %d, not %d",
						ACT_FEED_PAGE_MOST, size),
				 errhint("Read on with the last event's id as \"before\".")));
	return size;
}

void
act_feed_page_read(FunctionCallInfo fcinfo, ActFeedPage *page)
{
	page->filter = act_feed_filter_read(fcinfo, ARG_VIEWER);
	page->size = act_feed_page_size(fcinfo, ARG_PAGE_SIZE);
	act_read_note(page->filter, PG_ARGISNULL(ARG_VIEWER) ? NULL :
				  PG_GETARG_TEXT_PP(ARG_VIEWER));
	page->direction = BackwardScanDirection;
	if (!PG_ARGISNULL(ARG_AFTER))
	{
		act_feed_filter_after(page->filter, PG_GETARG_UUID_P(ARG_AFTER));
		if (PG_ARGISNULL(ARG_BEFORE))
			page->direction = ForwardScanDirection;
	}
	if (!PG_ARGISNULL(ARG_BEFORE))
		act_feed_filter_before(page->filter, PG_GETARG_UUID_P(ARG_BEFORE));
}

/*
 * activity.feed(…)
 *
 * The page is read whole before the first row is returned, so that no lock or
 * buffer outlives the call.
 */
Datum
act_feed(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ActFeedPage page;
	ActFeedScan *scan;
	TupleTableSlot *row;
	MemoryContext scratch;
	HeapTuple  *tuples;
	int			count = 0;

	act_feed_page_read(fcinfo, &page);
	InitMaterializedSRF(fcinfo, 0);
	tuples = palloc(page.size * sizeof(HeapTuple));
	scratch = AllocSetContextCreate(CurrentMemoryContext, "activity entry",
									ALLOCSET_DEFAULT_SIZES);

	scan = act_feed_scan_begin(page.filter, page.direction, page.size);
	while (count < page.size && (row = act_feed_scan_next(scan)) != NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(scratch);
		Datum		values[ACT_ENTRY_COLUMNS];
		bool		nulls[ACT_ENTRY_COLUMNS];
		ActEntry	entry;

		act_entry_read(row, &entry);
		act_entry_values(&entry, values, nulls);
		MemoryContextSwitchTo(old);
		tuples[count++] = heap_form_tuple(result->setDesc, values, nulls);
		MemoryContextReset(scratch);
	}
	act_feed_scan_end(scan);

	for (int i = 0; i < count; i++)
		tuplestore_puttuple(result->setResult,
							tuples[ScanDirectionIsForward(page.direction) ?
								   count - 1 - i : i]);
	return (Datum) 0;
}

/* activity.feed_count(…) */
Datum
act_feed_count(PG_FUNCTION_ARGS)
{
	ActFeedFilter *filter = act_feed_filter_read(fcinfo, COUNT_ARG_VIEWER);

	PG_RETURN_INT64(filter->impossible ? 0 : act_feed_scan_count(filter));
}
