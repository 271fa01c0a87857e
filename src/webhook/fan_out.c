/*
 * webhook/fan_out.c
 *		Deliveries for the events that are being published.
 *
 * The publisher asks for every event, so who wants what is kept in memory, per
 * organization, until an endpoint or an event type changes.  Nothing here waits
 * for a lock that a claim or a report holds: deliveries are inserted, and one
 * wake per endpoint, and nothing is updated.
 */
#include "activity.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/cache.h"
#include "base/own_table_guard.h"
#include "taxonomy/taxonomy.h"
#include "webhook/webhook.h"
#include "base/own_row.h"
#include "webhook/columns.h"
#include "webhook/store.h"

PG_FUNCTION_INFO_V1(act_webhook_endpoint_changed);
PG_FUNCTION_INFO_V1(act_webhook_codes);

/* Deliveries are written in runs of this many. */
#define RUN 1000

typedef struct Listener
{
	int32		endpoint;
	bool		everything;
	int32	   *codes;			/* sorted */
	int			ncodes;
	uint64		woken;			/* by this call */
	struct Listener *next;
} Listener;

typedef struct Audience
{
	int32		organization;	/* hash key */
	int			count;
	Listener   *first;
} Audience;

static void *read_audiences(ActSet *set);

/* A table of audiences. */
static ActSet audience_set = {
	.name = "webhook audiences",
	.fill = read_audiences
};

typedef struct Run
{
	WebhookDelivery *rows;
	int			count;
} Run;

static int	weigh(int32 organization);

static const ActSubscriber subscriber = {
	.name = "webhooks",
	.take = act_webhook_fan_out,
	.weigh = weigh
};

static void fan_out(HTAB *audiences, const ActPublished *events, int count);
static void add_listener(HTAB *audiences, HeapTuple row, TupleDesc desc);
static void add_codes(Listener *listener, ArrayType *patterns);
static bool wants(const Listener *listener, int32 type);
static bool is_about_webhooks(int32 type);
static int	by_code(const void *a, const void *b);

void
act_webhook_fan_out(const ActPublished *events, int count)
{
	HTAB	   *audiences;

	AcceptInvalidationMessages();
	audiences = act_set_pin(&audience_set);
	if (hash_get_num_entries(audiences) > 0)
		fan_out(audiences, events, count);
	act_set_unpin(&audience_set, audiences);
}

/* A delivery for each of its endpoints, at most. */
static int
weigh(int32 organization)
{
	HTAB	   *audiences = act_set_pin(&audience_set);
	Audience   *audience = hash_search(audiences, &organization, HASH_FIND, NULL);
	int			endpoints = audience != NULL ? audience->count : 0;

	act_set_unpin(&audience_set, audiences);
	return endpoints;
}

static void
fan_out(HTAB *audiences, const ActPublished *events, int count)
{
	static uint64 call = 0;
	Run			run = {NULL, 0};
	List	   *woken = NIL;
	TimestampTz now = 0;

	call++;
	for (int i = 0; i < count; i++)
	{
		const ActPublished *event = &events[i];
		Audience   *audience = hash_search(audiences, &event->organization,
										   HASH_FIND, NULL);

		if (audience == NULL || is_about_webhooks(event->type))
			continue;
		for (Listener *to = audience->first; to != NULL; to = to->next)
		{
			WebhookDelivery *row;

			if (!wants(to, event->type))
				continue;
			if (run.rows == NULL)
			{
				run.rows = palloc(sizeof(WebhookDelivery) * RUN);
				now = act_webhook_clock();
			}
			row = &run.rows[run.count++];
			row->position = event->position;
			row->created_at = now;
			row->endpoint = to->endpoint;
			row->type = event->type;
			row->event = event->id;
			row->requested = false;
			row->body = NULL;
			if (to->woken != call)
				woken = lappend_int(woken, to->endpoint);
			to->woken = call;
			if (run.count == RUN)
			{
				act_store_add_deliveries(run.rows, run.count);
				run.count = 0;
			}
		}
	}
	if (run.rows == NULL)
		return;
	if (run.count > 0)
		act_store_add_deliveries(run.rows, run.count);
	pfree(run.rows);
	act_store_wake(woken);
	list_free(woken);
}

/* Reads all endpoints that are on: a few hundred bytes each. */
static void *
read_audiences(ActSet *set)
{
	MemoryContext context = CurrentMemoryContext;
	HTAB	   *audiences;
	Oid			namespace = get_namespace_oid("_activity", false);
	HASHCTL		info = {0};
	ActRowScan	scan;
	HeapTuple	row;

	act_set_depends(set, get_relname_relid("webhook_endpoint", namespace));
	act_set_depends(set, get_relname_relid("event_type_definition", namespace));
	info.keysize = sizeof(int32);
	info.entrysize = sizeof(Audience);
	info.hcxt = context;
	audiences = hash_create("activity webhook audiences", 64, &info,
							HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	act_row_begin(&scan, act_row_open("webhook_endpoint", AccessShareLock),
				  "webhook_endpoint_pkey", 0, NULL);
	while ((row = act_row_next(&scan)) != NULL)
		add_listener(audiences, row, RelationGetDescr(scan.rel));
	act_row_end(&scan);
	return audiences;
}

static void
add_listener(HTAB *audiences, HeapTuple row, TupleDesc desc)
{
	Listener   *listener;
	Audience   *audience;
	bool		found;
	bool		isnull;
	Datum		value;
	int32		organization;

	if (!heap_attisnull(row, ENDPOINT_DISABLED_AT, desc) ||
		!heap_attisnull(row, ENDPOINT_DELETED_AT, desc))
		return;
	listener = palloc0(sizeof(Listener));
	listener->endpoint = DatumGetInt32(heap_getattr(row, ENDPOINT_KEY, desc, &isnull));
	value = heap_getattr(row, ENDPOINT_EVENT_TYPES, desc, &isnull);
	listener->everything = isnull;
	if (!isnull)
		add_codes(listener, DatumGetArrayTypeP(value));

	organization = DatumGetInt32(heap_getattr(row, ENDPOINT_ORGANIZATION, desc, &isnull));
	audience = hash_search(audiences, &organization, HASH_ENTER, &found);
	if (!found)
	{
		audience->first = NULL;
		audience->count = 0;
	}
	audience->count++;
	listener->next = audience->first;
	audience->first = listener;
}

/*
 * The codes that the patterns mean, as act_taxonomy_match has it; but a pattern
 * that means nothing (any more) is no error here, or nothing could be published.
 */
static void
add_codes(Listener *listener, ArrayType *patterns)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	deconstruct_array(patterns, TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		char	   *pattern = nulls[i] ? pstrdup("") : TextDatumGetCString(elements[i]);
		int			len = strlen(pattern);

		if (len > 2 && strcmp(pattern + len - 2, ".*") == 0)
		{
			pattern[len - 2] = '\0';
			for (int n = 0; n < act_taxonomy_count(); n++)
			{
				const ActEventType *type = act_taxonomy_nth(n);

				if (pg_strcasecmp(type->category, pattern) == 0)
					act_taxonomy_synonyms(type->code, &listener->codes,
										  &listener->ncodes);
			}
		}
		else
		{
			const ActEventType *type = act_taxonomy_find(pattern, len);

			if (type != NULL)
				act_taxonomy_synonyms(type->code, &listener->codes,
									  &listener->ncodes);
		}
	}
	if (listener->ncodes > 1)
		qsort(listener->codes, listener->ncodes, sizeof(int32), by_code);
}

static int
by_code(const void *a, const void *b)
{
	int32		x = *(const int32 *) a;
	int32		y = *(const int32 *) b;

	return x < y ? -1 : x > y;
}

static bool
wants(const Listener *listener, int32 type)
{
	return listener->everything ||
		(listener->ncodes > 0 &&
		 bsearch(&type, listener->codes, listener->ncodes, sizeof(int32),
				 by_code) != NULL);
}

/* Else a delivery's outcome would be an event to deliver. */
static bool
is_about_webhooks(int32 code)
{
	const ActEventType *type = act_taxonomy_get(code);

	return type != NULL && strcmp(type->category, "webhook") == 0;
}

void
act_webhook_init(void)
{
	act_planted_own(act_webhook_endpoint_changed);
	act_subscriber_add(&subscriber);
	act_set_init(&audience_set);
}

/* _activity.webhook_codes(event_types text[]) RETURNS integer[] */
PGDLLEXPORT Datum
act_webhook_codes(PG_FUNCTION_ARGS)
{
	Listener	listener = {0};
	Datum	   *codes;
	int			count = 0;

	if (!PG_ARGISNULL(0))
		add_codes(&listener, PG_GETARG_ARRAYTYPE_P(0));
	codes = palloc(sizeof(Datum) * (act_taxonomy_count() + 1));
	for (int n = 0; n < act_taxonomy_count(); n++)
	{
		int32		code = act_taxonomy_nth(n)->code;

		listener.everything = PG_ARGISNULL(0);
		if (wants(&listener, code) && !is_about_webhooks(code))
			codes[count++] = Int32GetDatum(code);
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(codes, count, INT4OID, 4, true,
										  TYPALIGN_INT));
}

/* Statement trigger on webhook_endpoint: every backend reads it anew. */
PGDLLEXPORT Datum
act_webhook_endpoint_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("webhook_endpoint_changed() is a trigger function")));
	CacheInvalidateRelcache(trigger->tg_relation);
	return PointerGetDatum(NULL);	/* of no row, which is not SQL's null */
}
