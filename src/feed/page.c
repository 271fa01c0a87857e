/*
 * feed/page.c
 *		activity.feed_page(): a page as JSON, with the cursors to its neighbours.
 */
#include "activity.h"

#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

#include "feed/entry.h"
#include "feed/feed.h"
#include "feed/scan.h"

#define ARG_AFTER 8

/* A search that finds little gives back what it has after reading so much. */
#define SEARCH_MOST 20000

typedef struct PageRead
{
	int			count;
	Jsonb	  **items;			/* in the order in which they were read */
	pg_uuid_t	first;			/* newest and oldest of them */
	pg_uuid_t	last;
	bool		more;			/* further on in the direction of reading */
	bool		stopped;		/* by SEARCH_MOST, at position */
	pg_uuid_t	position;
} PageRead;

PG_FUNCTION_INFO_V1(act_feed_page);

extern PGDLLEXPORT Datum act_feed_page(PG_FUNCTION_ARGS);

static void read_page(const ActFeedPage *asked, PageRead *page);
static Jsonb *page_json(const PageRead *page, bool forward,
						const pg_uuid_t *previous, const pg_uuid_t *next);
static void push_string(JsonbParseState **state, JsonbIteratorToken token,
						const char *string);
static void push_id(JsonbParseState **state, const char *name,
					const pg_uuid_t *id);

/*
 * activity.feed_page(…)
 *
 * has_more looks in the direction of reading: to older events, or with "after"
 * alone to newer ones.  The other direction isn't asked about, as the reader
 * came from there.
 */
Datum
act_feed_page(PG_FUNCTION_ARGS)
{
	ActFeedPage asked;
	PageRead	page;
	bool		forward;
	const pg_uuid_t *previous = NULL;
	const pg_uuid_t *next = NULL;

	act_feed_page_read(fcinfo, &asked);
	forward = ScanDirectionIsForward(asked.direction);
	read_page(&asked, &page);

	if (page.count > 0)
	{
		previous = &page.first;
		if (forward || page.more)
			next = &page.last;
	}
	else if (forward)
		previous = PG_GETARG_UUID_P(ARG_AFTER);
	if (page.stopped)
	{
		if (forward)
			previous = &page.position;
		else
			next = &page.position;
	}
	PG_RETURN_JSONB_P(page_json(&page, forward, previous, next));
}

/* Reads one event more than the page holds, to know whether there is more. */
static void
read_page(const ActFeedPage *asked, PageRead *page)
{
	bool		forward = ScanDirectionIsForward(asked->direction);
	ActFeedScan *scan = act_feed_scan_begin(asked->filter, asked->direction,
											asked->size + 1);
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "activity entry",
												  ALLOCSET_DEFAULT_SIZES);
	TupleTableSlot *row;

	memset(page, 0, sizeof(PageRead));
	page->items = palloc(asked->size * sizeof(Jsonb *));
	if (asked->filter->search != NULL)
		act_feed_scan_limit(scan, SEARCH_MOST);
	while ((row = act_feed_scan_next(scan)) != NULL)
	{
		MemoryContext old;
		ActEntry	entry;
		Jsonb	   *item;

		if (page->count == asked->size)
		{
			page->more = true;
			break;
		}
		old = MemoryContextSwitchTo(scratch);
		act_entry_read(row, &entry);
		item = act_entry_json(&entry);
		MemoryContextSwitchTo(old);

		page->items[page->count] = palloc(VARSIZE(item));
		memcpy(page->items[page->count], item, VARSIZE(item));
		if (page->count == 0 || forward)
			page->first = entry.id;
		if (page->count == 0 || !forward)
			page->last = entry.id;
		page->count++;
		MemoryContextReset(scratch);
	}
	page->stopped = act_feed_scan_stopped(scan, &page->position);
	page->more |= page->stopped;
	act_feed_scan_end(scan);
}

static Jsonb *
page_json(const PageRead *page, bool forward, const pg_uuid_t *previous,
		  const pg_uuid_t *next)
{
	JsonbParseState *state = NULL;
	JsonbValue	value;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_string(&state, WJB_KEY, "items");
	pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	for (int i = 0; i < page->count; i++)
	{
		Jsonb	   *item = page->items[forward ? page->count - 1 - i : i];

		value.type = jbvBinary;
		value.val.binary.data = &item->root;
		value.val.binary.len = VARSIZE(item) - VARHDRSZ;
		pushJsonbValue(&state, WJB_ELEM, &value);
	}
	pushJsonbValue(&state, WJB_END_ARRAY, NULL);
	push_id(&state, "next_cursor", next);
	push_id(&state, "prev_cursor", previous);
	push_string(&state, WJB_KEY, "has_more");
	value.type = jbvBool;
	value.val.boolean = page->more;
	pushJsonbValue(&state, WJB_VALUE, &value);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

static void
push_string(JsonbParseState **state, JsonbIteratorToken token,
			const char *string)
{
	JsonbValue	value;

	value.type = jbvString;
	value.val.string.val = unconstify(char *, string);
	value.val.string.len = strlen(string);
	pushJsonbValue(state, token, &value);
}

static void
push_id(JsonbParseState **state, const char *name, const pg_uuid_t *id)
{
	JsonbValue	null;

	push_string(state, WJB_KEY, name);
	null.type = jbvNull;
	if (id == NULL)
		pushJsonbValue(state, WJB_VALUE, &null);
	else
		push_string(state, WJB_VALUE,
					DatumGetCString(DirectFunctionCall1(uuid_out,
														UUIDPGetDatum(id))));
}
