/*
 * stream/verify.c
 *		verify() and checkpoint(): proving that nothing was changed.
 *
 * The stream is read once in its order, each event looked up and hashed, so
 * that memory does not grow with it.  All that is kept of it: an anchor counts
 * only where rows are not kept, or else whoever adds one would hide what he
 * changed before it.  That finds what was changed, removed or
 * reordered.  What was inserted is in no stream: so the ids met there and the
 * ids of all published events are summed up, as 128 random-looking bits each,
 * and only where the sums differ is it found out which ones.  The hashes are
 * seeded by chance in each call: nobody can prepare ids whose sum is right.
 */
#include "activity.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

#include "base/columns.h"
#include "stream/chain.h"
#include "event/event.h"
#include "event/id.h"
#include "event/lookup.h"
#include "event/organization.h"
#include "stream/progress.h"
#include "stream/right.h"
#include "record/record.h"
#include "base/own_table.h"
#include "stream/stream.h"
#include "taxonomy/taxonomy.h"

PG_FUNCTION_INFO_V1(act_verify);
PG_FUNCTION_INFO_V1(act_checkpoint);

/* A sum over ids that does not depend on their order. */
typedef struct Sum
{
	uint64		seed[2];
	uint64		sum[2];
} Sum;

typedef struct Verification
{
	ReturnSetInfo *result;
	int32		organization;
	char	   *id;				/* of the organization */
	ActStreamReader *stream;
	ActLookup  *lookup;
	ActChain   *chain;
	ActProgress progress;
	TimestampTz expired_before; /* events of then are gone by right */
	ActStreamRow anchor;		/* where readers begin; position 0: none */
	bool		hides;			/* it does, an event: that was reported */
	MemoryContext scratch;
	MemoryContext context;		/* of the call */
	Sum			streamed;		/* ids at positions whose events are there */
	Sum			stored;			/* ids of events that are published */
	HTAB	   *ids;			/* of the stream; NULL: not needed yet */
	HTAB	   *redactions;		/* met in the stream; NULL: none yet */
} Verification;

/* Of ids. */
typedef struct Id
{
	pg_uuid_t	id;				/* the hash key */
	bool		met;			/* an event has it */
} Id;

/* Of a redaction, and how many events it is said to have redacted. */
typedef struct Redaction
{
	pg_uuid_t	id;				/* the hash key */
	int64		events;
	int64		position;		/* of the last of them */
} Redaction;

static bool begin(Verification *v, FunctionCallInfo fcinfo);
static TimestampTz read_expiry(int32 organization);
static void end(Verification *v);
static void walk(Verification *v);
static void check_anchor(Verification *v, const ActStreamRow *at, bool exists);
static void check_position(Verification *v, const ActStreamRow *at,
						   ActStreamRow *before);
static void check_row(Verification *v, const ActStreamRow *at,
					  TupleTableSlot *event, uint8 *hash, bool linked);
static void count_redacted(Verification *v, const ActStreamRow *at,
						   TupleTableSlot *event);
static void check_redactions(Verification *v);
static int64 redacted_by(TupleTableSlot *event);
static void add(Sum *sum, const pg_uuid_t *id);
static void count_stored(TupleTableSlot *row, void *argument);
static void find_inserted(Verification *v);
static void report_inserted(TupleTableSlot *row, void *argument);
static void report(Verification *v, int64 position, const char *problem);

/* activity.verify(organization) */
PGDLLEXPORT Datum
act_verify(PG_FUNCTION_ARGS)
{
	Verification v = {0};

	if (!begin(&v, fcinfo))
		return (Datum) 0;
	walk(&v);
	if (v.redactions != NULL)
		check_redactions(&v);
	act_lookup_all(v.lookup, v.organization, count_stored, &v);
	if (memcmp(v.streamed.sum, v.stored.sum, sizeof(v.stored.sum)) != 0)
		find_inserted(&v);
	end(&v);
	return (Datum) 0;
}

/* activity.checkpoint(organization, at_position) */
PGDLLEXPORT Datum
act_checkpoint(PG_FUNCTION_ARGS)
{
	Verification v = {0};
	ActStreamRow anchor = {0};
	ActStreamRow at = {0};
	Datum		values[4];
	bool		nulls[4] = {0};
	bytea	   *hash = palloc(VARHDRSZ + ACT_CHAIN_BYTES);
	bool		found;

	if (!begin(&v, fcinfo))
		return (Datum) 0;
	(void) act_stream_anchored(v.stream, v.organization, &anchor);
	found = PG_ARGISNULL(1) ?
		act_stream_newest(v.stream, v.organization, &at) :
		act_stream_at(v.stream, v.organization, PG_GETARG_INT64(1), &at);
	if (!found)
	{
		if (!PG_ARGISNULL(1) && PG_GETARG_INT64(1) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("position " INT64_FORMAT " is not kept",
							PG_GETARG_INT64(1))));
		act_chain_start(v.chain, v.id, at.hash);
	}
	SET_VARSIZE(hash, VARHDRSZ + ACT_CHAIN_BYTES);
	memcpy(VARDATA(hash), at.hash, ACT_CHAIN_BYTES);
	values[0] = Int64GetDatum(at.position);
	values[1] = PointerGetDatum(hash);
	values[2] = Int64GetDatum(Max(at.position - anchor.position, 0));
	values[3] = TimestampTzGetDatum(GetCurrentTimestamp());
	tuplestore_putvalues(v.result->setResult, v.result->setDesc, values, nulls);
	end(&v);
	return (Datum) 0;
}

/* False for an organization that has no events. */
static bool
begin(Verification *v, FunctionCallInfo fcinfo)
{
	InitMaterializedSRF(fcinfo, 0);
	v->result = (ReturnSetInfo *) fcinfo->resultinfo;
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("organization must not be null")));
	act_record_flush();
	v->id = text_to_cstring(PG_GETARG_TEXT_PP(0));
	v->organization = act_organization_find(v->id, strlen(v->id));
	if (v->organization == 0)
		return false;

	PushActiveSnapshot(GetLatestSnapshot());
	act_right_hide_own(GetActiveSnapshot());
	v->stream = act_stream_open(GetActiveSnapshot());
	v->lookup = act_lookup_open(GetActiveSnapshot());
	v->chain = act_chain_create();
	act_progress_read(GetActiveSnapshot(), &v->progress);
	v->expired_before = read_expiry(v->organization);
	v->context = CurrentMemoryContext;
	v->scratch = AllocSetContextCreate(CurrentMemoryContext, "activity verify",
									   ALLOCSET_DEFAULT_SIZES);
	for (int i = 0; i < 2; i++)
		v->streamed.seed[i] = v->stored.seed[i] = act_event_id_random();
	return true;
}

/* DT_NOBEGIN where retention has never removed anything. */
static TimestampTz
read_expiry(int32 organization)
{
	Relation	rel = act_relation_open(ACT_REL_EXPIRY, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	TimestampTz before = DT_NOBEGIN;
	bool		isnull;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(organization));
	scan = systable_beginscan(rel, act_relation_index(ACT_REL_EXPIRY_PKEY, rel), true,
							  GetActiveSnapshot(), 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		before = DatumGetTimestampTz(heap_getattr(tuple, ACT_EXPIRY_BEFORE, RelationGetDescr(rel),
												  &isnull));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return before;
}

static void
end(Verification *v)
{
	act_chain_free(v->chain);
	act_lookup_close(v->lookup);
	act_stream_close(v->stream);
	PopActiveSnapshot();
}

/* Every row of the stream, in order, each against the one before. */
static void
walk(Verification *v)
{
	ActStreamRow at;
	ActStreamRow before = {0};

	act_chain_start(v->chain, v->id, before.hash);
	(void) act_stream_anchored(v->stream, v->organization, &v->anchor);
	act_stream_seek(v->stream, v->organization, 0);
	while (act_stream_next(v->stream, &at))
	{
		/* Not in the scratch: the look-up's scans outlive a row. */
		TupleTableSlot *event = act_lookup_event(v->lookup, at.organization,
												 &at.id);
		MemoryContext old = MemoryContextSwitchTo(v->scratch);

		CHECK_FOR_INTERRUPTS();
		check_position(v, &at, &before);
		check_anchor(v, &at, event != NULL);
		check_row(v, &at, event, before.hash,
				  at.position == before.position + 1);
		before = at;
		MemoryContextSwitchTo(old);
		MemoryContextReset(v->scratch);
	}
	if (before.position > 0 && v->anchor.position > before.position)
		report(v, v->anchor.position, "an anchor after the end of the stream");
}

/* The newest anchor stands on the stream, after all that is gone. */
static void
check_anchor(Verification *v, const ActStreamRow *at, bool exists)
{
	int64		position = v->anchor.position;

	if (at->position == position &&
		memcmp(at->hash, v->anchor.hash, ACT_CHAIN_BYTES) != 0)
		report(v, position, "the anchor here has another hash");
	if (at->position > position || !exists || v->hides)
		return;
	v->hides = true;
	report(v, at->position,
		   psprintf("an anchor at " INT64_FORMAT " hides this event from readers",
					position));
}

/* Before a row comes the one with the position before, or an anchor. */
static void
check_position(Verification *v, const ActStreamRow *at, ActStreamRow *before)
{
	int64		missing = before->position + 1;

	if (at->position < missing)
		report(v, at->position, "another event has this position, too");
	else if (at->position == missing ||
			 act_stream_anchor_at(v->stream, v->organization, at->position - 1,
								  before))
		return;
	else if (at->position == missing + 1)
		report(v, missing, "missing from the stream");
	else
		report(v, missing,
			   psprintf("missing from the stream, as are all up to " INT64_FORMAT,
						at->position - 1));
}

/* One row, linked to the hash before unless that is missing. */
static void
check_row(Verification *v, const ActStreamRow *at, TupleTableSlot *event,
		  uint8 *hash, bool linked)
{
	uint8		digest[ACT_CHAIN_BYTES];
	TimestampTz time;

	if (event == NULL)
	{
		if (!act_event_id_time(&at->id, &time) || time >= v->expired_before)
			report(v, at->position,
				   psprintf("event %s is missing",
							DatumGetCString(DirectFunctionCall1(uuid_out,
																UUIDPGetDatum(&at->id)))));
		return;
	}
	add(&v->streamed, &at->id);
	count_redacted(v, at, event);
	if (!linked)
		return;
	act_chain_digest(v->chain, event, v->id, digest);
	act_chain_extend(v->chain, at->position, digest, hash);
	if (memcmp(hash, at->hash, ACT_CHAIN_BYTES) != 0)
		report(v, at->position,
			   psprintf("event %s is not what was published at this position",
						DatumGetCString(DirectFunctionCall1(uuid_out,
															UUIDPGetDatum(&at->id)))));
}

/*
 * A redacted event names its redaction, which is an event, too: in the chain, with
 * its reason.  Whoever erases behind the extension's back has none, or makes one
 * redaction account for more events than it did.
 */
static void
count_redacted(Verification *v, const ActStreamRow *at, TupleTableSlot *event)
{
	pg_uuid_t	id = {{0}};
	JsonbValue	named;
	Jsonb	   *subject;
	Redaction  *redaction;
	bool		found;

	slot_getallattrs(event);
	if (event->tts_isnull[ACT_EVENT_COMMITMENT - 1])
		return;
	subject = DatumGetJsonbP(event->tts_values[ACT_EVENT_SUBJECT - 1]);
	if (getKeyJsonValueFromContainer(&subject->root, "redacted", 8, &named) != NULL &&
		named.type == jbvString && named.val.string.len == 36)
		(void) act_event_id_parse(named.val.string.val, &id);
	if (v->redactions == NULL)
	{
		HASHCTL		control = {0};

		control.keysize = sizeof(pg_uuid_t);
		control.entrysize = sizeof(Redaction);
		control.hcxt = v->context;
		v->redactions = hash_create("activity verify redactions", 64, &control,
									HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	redaction = hash_search(v->redactions, &id, HASH_ENTER, &found);
	if (!found)
		redaction->events = 0;
	redaction->events++;
	redaction->position = at->position;
}

static void
check_redactions(Verification *v)
{
	HASH_SEQ_STATUS scan;
	Redaction  *redaction;

	hash_seq_init(&scan, v->redactions);
	while ((redaction = hash_seq_search(&scan)) != NULL)
	{
		TupleTableSlot *event = act_lookup_event(v->lookup, v->organization,
												 &redaction->id);
		TimestampTz time;

		/* One that has expired can't be asked any more. */
		if (event == NULL && act_event_id_time(&redaction->id, &time) &&
			time < v->expired_before)
			continue;
		if (event == NULL || redacted_by(event) < redaction->events)
			report(v, redaction->position,
				   psprintf("redacted by %s, which did not redact it",
							DatumGetCString(DirectFunctionCall1(uuid_out,
																UUIDPGetDatum(&redaction->id)))));
	}
}

/* How many events a redaction says that it redacted; 0 for what is none. */
static int64
redacted_by(TupleTableSlot *event)
{
	const ActEventType *type;
	JsonbValue	events;
	Jsonb	   *metadata;

	slot_getallattrs(event);
	type = act_taxonomy_get(DatumGetInt32(event->tts_values[ACT_EVENT_TYPE - 1]));
	if (type == NULL || strcmp(type->key, "compliance.redacted") != 0 ||
		event->tts_isnull[ACT_EVENT_METADATA - 1])
		return 0;
	metadata = DatumGetJsonbP(event->tts_values[ACT_EVENT_METADATA - 1]);
	if (getKeyJsonValueFromContainer(&metadata->root, "events", 6, &events) == NULL ||
		events.type != jbvNumeric)
		return 0;
	return DatumGetInt64(DirectFunctionCall1(numeric_int8,
											 NumericGetDatum(events.val.numeric)));
}

static void
add(Sum *sum, const pg_uuid_t *id)
{
	for (int i = 0; i < 2; i++)
		sum->sum[i] += hash_bytes_extended(id->data, UUID_LEN, sum->seed[i]);
}

static void
count_stored(TupleTableSlot *row, void *argument)
{
	Verification *v = argument;
	bool		isnull;
	Datum		xid = slot_getattr(row, ACT_EVENT_XID, &isnull);
	pg_uuid_t  *id = DatumGetUUIDP(slot_getattr(row, ACT_EVENT_ID, &isnull));

	if (act_progress_covers(&v->progress,
							U64FromFullTransactionId(DatumGetFullTransactionId(xid)),
							id))
		add(&v->stored, id);
}

/* Remembers the ids of the stream, and reports published events beside them. */
static void
find_inserted(Verification *v)
{
	HASHCTL		control = {0};
	ActStreamRow at;

	control.keysize = sizeof(pg_uuid_t);
	control.entrysize = sizeof(Id);
	control.hcxt = CurrentMemoryContext;
	v->ids = hash_create("activity verify ids", 1024, &control,
						 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	act_stream_seek(v->stream, v->organization, 0);
	while (act_stream_next(v->stream, &at))
	{
		bool		found;
		Id		   *entry;

		CHECK_FOR_INTERRUPTS();
		entry = hash_search(v->ids, &at.id, HASH_ENTER, &found);
		entry->met = false;
		if (found)
			report(v, at.position, "its event is at another position, too");
	}
	act_lookup_all(v->lookup, v->organization, report_inserted, v);
}

static void
report_inserted(TupleTableSlot *row, void *argument)
{
	Verification *v = argument;
	bool		isnull;
	Datum		xid = slot_getattr(row, ACT_EVENT_XID, &isnull);
	pg_uuid_t  *id = DatumGetUUIDP(slot_getattr(row, ACT_EVENT_ID, &isnull));

	const char *problem = "was inserted: it was never published";
	Id		   *entry = hash_search(v->ids, id, HASH_FIND, NULL);

	/* An id is unique in its partition only. */
	if (entry != NULL && !entry->met)
	{
		entry->met = true;
		return;
	}
	if (entry != NULL)
		problem = "was inserted: it is there twice";
	else if (!act_progress_covers(&v->progress,
								  U64FromFullTransactionId(DatumGetFullTransactionId(xid)),
								  id))
		return;
	report(v, 0,
		   psprintf("event %s %s",
					DatumGetCString(DirectFunctionCall1(uuid_out,
														UUIDPGetDatum(id))),
					problem));
}

/* Position 0 is none. */
static void
report(Verification *v, int64 position, const char *problem)
{
	Datum		values[2];
	bool		nulls[2] = {position == 0, false};

	values[0] = Int64GetDatum(position);
	values[1] = CStringGetTextDatum(problem);
	tuplestore_putvalues(v->result->setResult, v->result->setDesc, values,
						 nulls);
}
