/*
 * http/page.c
 *		Pages of the feed as bodies of HTTP answers.
 *
 * One call reads the page, counts, and renders: so all of it is of one snapshot,
 * and no event is made JSON twice.  Who may read was decided before.
 */
#include "activity.h"

#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

#include "event/id.h"
#include "event/organization.h"
#include "feed/entry.h"
#include "feed/feed.h"
#include "feed/read_note.h"
#include "feed/scan.h"
#include "numbers/total.h"
#include "record/record.h"

PG_FUNCTION_INFO_V1(act_http_page);
PG_FUNCTION_INFO_V1(act_http_event);

#define FILTERS			7		/* organization to search, as feed() has them */
#define ARG_ON_BEHALF_OF 7
#define ARG_BEFORE		8
#define ARG_AFTER		9
#define ARG_SIZE		10
#define ARG_PAGE		11
#define ARG_COUNT		12
#define ARG_READER		13

/* A search that finds little gives back what it has after reading so much. */
#define SEARCH_MOST 20000

typedef struct Reading
{
	ActFeedFilter *filter;
	ScanDirection direction;
	int			size;
	int64		skip;
	bool		numbered;		/* by a number, not by a cursor */
	bool		jumped;			/* and skip is the rest of the way */
	int64		total;			/* -1: not asked for */
	StringInfoData items;		/* one after the other */
	int			count;
	int		   *ends;			/* of the items */
	pg_uuid_t	first;			/* newest and oldest of them */
	pg_uuid_t	last;
	bool		more;
	bool		stopped;		/* by SEARCH_MOST, at position */
	pg_uuid_t	position;
} Reading;

static ActFeedFilter *read_filter(FunctionCallInfo fcinfo);
static void count(Reading *page, bool asked);
static void turn_around(Reading *page);
static void read_items(Reading *page);
static void render(const Reading *page, StringInfo out);
static void append_cursor(StringInfo out, const char *name, const pg_uuid_t *id);

/*
 * http_page(organization, event_types, actor, subject, since, until, search,
 * on_behalf_of, before, after, page_size, page, count, reader) RETURNS text
 */
PGDLLEXPORT Datum
act_http_page(PG_FUNCTION_ARGS)
{
	Reading		page = {0};
	StringInfoData out;

	page.filter = read_filter(fcinfo);
	page.size = act_feed_page_size(fcinfo, ARG_SIZE);
	page.direction = BackwardScanDirection;
	act_read_note(page.filter, PG_ARGISNULL(ARG_READER) ? NULL :
				  PG_GETARG_TEXT_PP(ARG_READER));
	if (!PG_ARGISNULL(ARG_PAGE))
	{
		int64		number = PG_GETARG_INT64(ARG_PAGE);

		if (number < 1 || number > PG_INT64_MAX / page.size)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("there is no page " INT64_FORMAT, number)));
		page.numbered = true;
		page.skip = (number - 1) * page.size;
	}
	count(&page, !PG_ARGISNULL(ARG_COUNT) && PG_GETARG_BOOL(ARG_COUNT));
	if (!PG_ARGISNULL(ARG_AFTER))
	{
		act_feed_filter_after(page.filter, PG_GETARG_UUID_P(ARG_AFTER));
		if (PG_ARGISNULL(ARG_BEFORE))
			page.direction = ForwardScanDirection;
	}
	if (!PG_ARGISNULL(ARG_BEFORE))
		act_feed_filter_before(page.filter, PG_GETARG_UUID_P(ARG_BEFORE));
	initStringInfo(&page.items);
	page.ends = palloc((page.size + 1) * sizeof(int));
	if (page.total < 0 || page.skip < page.total)
	{
		turn_around(&page);
		read_items(&page);
	}
	initStringInfo(&out);
	render(&page, &out);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}

/* Without a viewer: whoever calls has asked about the membership. */
static ActFeedFilter *
read_filter(FunctionCallInfo fcinfo)
{
	LOCAL_FCINFO(feed, FILTERS + 2);

	InitFunctionCallInfoData(*feed, fcinfo->flinfo, FILTERS + 2,
							 fcinfo->fncollation, NULL, NULL);
	for (int i = 0; i < FILTERS; i++)
		feed->args[i] = fcinfo->args[i];
	feed->args[FILTERS].value = (Datum) 0;
	feed->args[FILTERS].isnull = true;
	feed->args[FILTERS + 1] = fcinfo->args[ARG_ON_BEHALF_OF];
	return act_feed_filter_read(feed, FILTERS);
}

/* The total, if it is asked for, and what of the way to the page is known. */
static void
count(Reading *page, bool asked)
{
	ActTotal   *total = asked || page->skip > 0 ? act_total_make(page->filter) : NULL;

	page->total = !asked ? -1 : page->filter->impossible ? 0 :
		total != NULL ? act_total_count(total) : act_feed_scan_count(page->filter);
	if (total == NULL || page->skip == 0 || (asked && page->skip >= page->total))
		return;
	page->skip -= act_total_jump(total, page->filter, page->skip);
	page->jumped = true;
}

/* A page that is nearer to the oldest event is reached from there. */
static void
turn_around(Reading *page)
{
	int64		older;

	if (!page->numbered || page->jumped || page->total < 0 || page->skip <= page->total / 2 ||
		!act_feed_filter_is_indexed(page->filter))
		return;
	page->size = Min(page->size, page->total - page->skip);
	older = page->total - page->skip - page->size;
	page->direction = ForwardScanDirection;
	page->skip = older;
	page->more = older > 0;
}

/* One event more than the page holds, to know whether there is more. */
static void
read_items(Reading *page)
{
	bool		forward = ScanDirectionIsForward(page->direction);
	bool		knows_more = forward && page->numbered;
	ActFeedScan *scan = act_feed_scan_begin(page->filter, page->direction,
											page->size + 1);
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "activity page",
												  ALLOCSET_DEFAULT_SIZES);
	TupleTableSlot *row;

	if (page->filter->search != NULL && page->skip == 0)
		act_feed_scan_limit(scan, SEARCH_MOST);
	if (act_feed_filter_is_indexed(page->filter))
		act_feed_scan_skip(scan, page->skip);
	else
		for (int64 i = 0; i < page->skip; i++)
			if (act_feed_scan_next(scan) == NULL)
				break;
	while (!(knows_more && page->count == page->size) &&
		   (row = act_feed_scan_next(scan)) != NULL)
	{
		MemoryContext old;
		ActEntry	entry;

		if (page->count == page->size)
		{
			page->more = true;
			break;
		}
		old = MemoryContextSwitchTo(scratch);
		act_entry_read(row, &entry);
		act_entry_append_object(&page->items, &entry);
		MemoryContextSwitchTo(old);
		if (page->count == 0 || forward)
			page->first = entry.id;
		if (page->count == 0 || !forward)
			page->last = entry.id;
		page->ends[page->count++] = page->items.len;
		MemoryContextReset(scratch);
	}
	page->stopped = act_feed_scan_stopped(scan, &page->position);
	page->more |= page->stopped;
	act_feed_scan_end(scan);
}

static void
render(const Reading *page, StringInfo out)
{
	bool		forward = ScanDirectionIsForward(page->direction);
	const pg_uuid_t *previous = page->count > 0 ? &page->first : NULL;
	const pg_uuid_t *next = page->count > 0 &&
		(!forward || page->numbered || page->more) ?
		&page->last : NULL;

	if (page->stopped && forward)
		previous = &page->position;
	else if (page->stopped)
		next = &page->position;
	enlargeStringInfo(out, page->items.len + page->count + 256);
	appendStringInfoString(out, "{\"items\":[");
	for (int i = 0; i < page->count; i++)
	{
		int			at = forward ? page->count - 1 - i : i;
		int			begin = at == 0 ? 0 : page->ends[at - 1];

		if (i > 0)
			appendStringInfoChar(out, ',');
		appendBinaryStringInfo(out, page->items.data + begin,
							   page->ends[at] - begin);
	}
	appendStringInfoChar(out, ']');
	if (page->total >= 0)
		appendStringInfo(out, ",\"total\":" INT64_FORMAT, page->total);
	append_cursor(out, "nextCursor", next);
	append_cursor(out, "prevCursor", previous);
	appendStringInfo(out, ",\"hasMore\":%s}", page->more ? "true" : "false");
}

static void
append_cursor(StringInfo out, const char *name, const pg_uuid_t *id)
{
	if (id == NULL)
		appendStringInfo(out, ",\"%s\":null", name);
	else
		appendStringInfo(out, ",\"%s\":\"%s\"", name,
						 DatumGetCString(DirectFunctionCall1(uuid_out,
															 UUIDPGetDatum(id))));
}

/* http_event(organization text, id uuid) RETURNS text: null if there is none */
PGDLLEXPORT Datum
act_http_event(PG_FUNCTION_ARGS)
{
	text	   *organization = PG_GETARG_TEXT_PP(0);
	pg_uuid_t  *id = PG_GETARG_UUID_P(1);
	ActFeedFilter *filter;
	ActFeedScan *scan;
	TupleTableSlot *row;
	StringInfoData out;
	TimestampTz time;

	act_record_flush();
	filter = act_feed_filter_all(act_organization_find(VARDATA_ANY(organization),
													   VARSIZE_ANY_EXHDR(organization)));
	if (filter->impossible || !act_event_id_time(id, &time))
		PG_RETURN_NULL();
	filter->low = filter->high = *id;
	filter->earliest = filter->latest = time;
	initStringInfo(&out);
	scan = act_feed_scan_begin(filter, BackwardScanDirection, 1);
	row = act_feed_scan_next(scan);
	if (row != NULL)
	{
		ActEntry	entry;

		act_entry_read(row, &entry);
		act_entry_append_object(&out, &entry);
	}
	act_feed_scan_end(scan);
	if (out.len == 0)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}
