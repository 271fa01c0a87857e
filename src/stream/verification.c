/*
 * stream/verification.c
 *		Proving that nothing was changed, a part at a time.
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

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

#include "base/columns.h"
#include "base/json.h"
#include "event/event.h"
#include "event/id.h"
#include "event/lookup.h"
#include "event/organization.h"
#include "record/record.h"
#include "stream/chain.h"
#include "stream/expiry.h"
#include "stream/progress.h"
#include "stream/right.h"
#include "stream/stream.h"
#include "stream/verification.h"
#include "taxonomy/taxonomy.h"

/* Rows of the stream, or of events, that are read in one step. */
#define STEP_ROWS 5000

/* A sum over ids that does not depend on their order. */
typedef struct Sum
{
	uint64		seed[2];
	uint64		sum[2];
} Sum;

typedef enum Phase
{
	PHASE_STREAM, PHASE_STORED, PHASE_IDS, PHASE_INSERTED, PHASE_OVER
} Phase;

struct ActVerification
{
	ActVerifyReport report;
	void	   *argument;		/* of report */
	Phase		phase;
	int64		done;			/* rows of the phase */
	int32		organization;
	char	   *id;				/* of the organization */
	Snapshot	snapshot;
	ActStreamReader *stream;
	ActLookup  *lookup;
	ActChain   *chain;
	ActProgress progress;
	TimestampTz expired_before; /* events of then are gone by right */
	ActStreamRow anchor;		/* where readers begin; position 0: none */
	ActStreamRow before;		/* the last row that was read */
	ActStreamRow newest;
	bool		hides;			/* the anchor does, an event: that was reported */
	MemoryContext scratch;
	MemoryContext context;		/* of all of it */
	Sum			streamed;		/* ids at positions whose events are there */
	Sum			stored;			/* ids of events that are published */
	HTAB	   *ids;			/* of the stream; NULL: not needed yet */
	HTAB	   *redactions;		/* met in the stream; NULL: none yet */
};

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

static bool check_some(ActVerification *v);
static void check_segment(ActVerification *v, const ActStreamRow *at);
static void check_anchor(ActVerification *v, const ActStreamRow *at, bool exists);
static void check_position(ActVerification *v, const ActStreamRow *at,
						   ActStreamRow *before);
static void check_row(ActVerification *v, const ActStreamRow *at,
					  TupleTableSlot *event, uint8 *hash, bool linked);
static void count_redacted(ActVerification *v, const ActStreamRow *at,
						   TupleTableSlot *event);
static bool is_bare(TupleTableSlot *event);
static int	count_scalar(Jsonb *object, const char *key);
static void check_redactions(ActVerification *v);
static int64 redacted_by(TupleTableSlot *event);
static void add(Sum *sum, const pg_uuid_t *id);
static void count_stored(TupleTableSlot *row, void *argument);
static bool remember_some(ActVerification *v);
static void report_inserted(TupleTableSlot *row, void *argument);
static void report(ActVerification *v, int64 position, const char *problem);

ActVerification *
act_verification_begin(const char *organization, ActVerifyReport report, void *argument)
{
	ActVerification *v;
	int32		key;

	act_record_flush();
	key = act_organization_find(organization, strlen(organization));
	if (key == 0)
		return NULL;
	v = palloc0(sizeof(ActVerification));
	v->report = report;
	v->argument = argument;
	v->id = pstrdup(organization);
	v->organization = key;
	v->context = CurrentMemoryContext;
	v->scratch = AllocSetContextCreate(v->context, "activity verify",
									   ALLOCSET_DEFAULT_SIZES);
	PushActiveSnapshot(GetLatestSnapshot());
	act_right_hide_own(GetActiveSnapshot());
	v->snapshot = RegisterSnapshot(GetActiveSnapshot());
	v->stream = act_stream_open(v->snapshot);
	v->lookup = act_lookup_open(v->snapshot);
	v->chain = act_chain_create();
	act_progress_read(v->snapshot, &v->progress);
	v->expired_before = act_expiry_before(v->organization);
	for (int i = 0; i < 2; i++)
		v->streamed.seed[i] = v->stored.seed[i] = act_event_id_random();
	act_chain_start(v->chain, v->id, v->before.hash);
	(void) act_stream_anchored(v->stream, key, &v->anchor);
	if (!act_stream_newest(v->stream, key, &v->newest))
		act_chain_start(v->chain, v->id, v->newest.hash);
	act_stream_seek(v->stream, key, 0);
	PopActiveSnapshot();
	return v;
}

void
act_verification_end(ActVerification *v)
{
	act_chain_free(v->chain);
	act_lookup_close(v->lookup);
	act_stream_close(v->stream);
	UnregisterSnapshot(v->snapshot);
}

bool
act_verification_step(ActVerification *v)
{
	Phase		phase = v->phase;
	MemoryContext old = MemoryContextSwitchTo(v->context);
	bool		more;

	PushActiveSnapshot(v->snapshot);
	switch (phase)
	{
		case PHASE_STREAM:
			more = check_some(v);
			break;
		case PHASE_STORED:
			more = act_lookup_walk(v->lookup, v->organization, STEP_ROWS, count_stored, v);
			break;
		case PHASE_IDS:
			more = remember_some(v);
			break;
		default:
			more = act_lookup_walk(v->lookup, v->organization, STEP_ROWS, report_inserted, v);
	}
	if (more)
		v->done += STEP_ROWS;
	else
	{
		v->phase++;
		v->done = 0;
		/* Nothing was inserted, as is nearly always so. */
		if (phase == PHASE_STORED &&
			memcmp(v->streamed.sum, v->stored.sum, sizeof(v->stored.sum)) == 0)
			v->phase = PHASE_OVER;
		act_stream_seek(v->stream, v->organization, 0);
	}
	PopActiveSnapshot();
	MemoryContextSwitchTo(old);
	return v->phase != PHASE_OVER;
}

const char *
act_verification_progress(const ActVerification *v, int64 *done, int64 *of)
{
	int64		kept = Max(v->newest.position - v->anchor.position, 0);

	*of = kept;
	*done = Min(v->done, kept);
	return v->phase == PHASE_STREAM ? "chain" : "completeness";
}

const ActStreamRow *
act_verification_newest(const ActVerification *v, int64 *events)
{
	*events = Max(v->newest.position - v->anchor.position, 0);
	return &v->newest;
}

/* Rows of the stream, in order, each against the one before. */
static bool
check_some(ActVerification *v)
{
	ActStreamRow at;

	for (int i = 0; i < STEP_ROWS; i++)
	{
		TupleTableSlot *event;
		MemoryContext old;

		CHECK_FOR_INTERRUPTS();
		if (!act_stream_next(v->stream, &at))
		{
			if (v->before.position > 0 && v->anchor.position > v->before.position)
				report(v, v->anchor.position, "an anchor after the end of the stream");
			if (v->redactions != NULL)
				check_redactions(v);
			return false;
		}
		/* Not in the scratch: the look-up's scans outlive a row. */
		event = act_lookup_event(v->lookup, at.organization, &at.id);
		old = MemoryContextSwitchTo(v->scratch);
		check_segment(v, &at);
		check_position(v, &at, &v->before);
		check_anchor(v, &at, event != NULL);
		check_row(v, &at, event, v->before.hash,
				  at.position == v->before.position + 1);
		v->before = at;
		MemoryContextSwitchTo(old);
		MemoryContextReset(v->scratch);
	}
	return true;
}

/* Whoever reads the bytes in another format would find other digests. */
static void
check_segment(ActVerification *v, const ActStreamRow *at)
{
	const ActSegment *segments;
	int			count;

	if (at->segment == v->before.segment)
		return;
	segments = act_stream_segments(v->stream, &count);
	for (int i = 0; i < count; i++)
		if (segments[i].number == at->segment && segments[i].format == ACT_CHAIN_FORMAT)
			return;
	report(v, at->position,
		   psprintf("segment %d, which begins here, does not name format %d, in which it was published",
					at->segment, ACT_CHAIN_FORMAT));
}

/* The newest anchor stands on the stream, after all that is gone. */
static void
check_anchor(ActVerification *v, const ActStreamRow *at, bool exists)
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
check_position(ActVerification *v, const ActStreamRow *at, ActStreamRow *before)
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
check_row(ActVerification *v, const ActStreamRow *at, TupleTableSlot *event,
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
	if (memcmp(hash, at->hash, ACT_CHAIN_BYTES) != 0 || !is_bare(event))
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
count_redacted(ActVerification *v, const ActStreamRow *at, TupleTableSlot *event)
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
	if (act_json_find(subject, "redacted", 8, &named) != NULL &&
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

/*
 * The digest of a redacted event is made from what was there before; so that nobody
 * puts words into it, what a redaction takes away must be away.
 */
static bool
is_bare(TupleTableSlot *event)
{
	static const char said[] = "[redacted]";
	text	   *description;
	Jsonb	   *subject;
	Jsonb	   *context;

	slot_getallattrs(event);
	if (event->tts_isnull[ACT_EVENT_COMMITMENT - 1])
		return true;
	description = DatumGetTextPP(event->tts_values[ACT_EVENT_DESCRIPTION - 1]);
	subject = DatumGetJsonbP(event->tts_values[ACT_EVENT_SUBJECT - 1]);
	context = DatumGetJsonbP(event->tts_values[ACT_EVENT_CONTEXT - 1]);
	return event->tts_isnull[ACT_EVENT_SALT - 1] &&
		event->tts_isnull[ACT_EVENT_SUBJECT_HASH - 1] &&
		event->tts_isnull[ACT_EVENT_METADATA - 1] &&
		VARSIZE_ANY_EXHDR(description) == strlen(said) &&
		memcmp(VARDATA_ANY(description), said, strlen(said)) == 0 &&
		JB_ROOT_IS_OBJECT(context) && JB_ROOT_COUNT(context) == 0 &&
		JB_ROOT_IS_OBJECT(subject) &&
		JB_ROOT_COUNT(subject) == count_scalar(subject, "kind") + count_scalar(subject, "redacted");
}

/* 1 where the key has a text or null, else 0. */
static int
count_scalar(Jsonb *object, const char *key)
{
	JsonbValue	value;

	return act_json_find(object, key, strlen(key), &value) != NULL &&
		(value.type == jbvString || value.type == jbvNull) ? 1 : 0;
}

static void
check_redactions(ActVerification *v)
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
	char	   *number;
	size_t		length;

	slot_getallattrs(event);
	type = act_taxonomy_get(DatumGetInt32(event->tts_values[ACT_EVENT_TYPE - 1]));
	if (type == NULL || strcmp(type->key, "compliance.redacted") != 0 ||
		event->tts_isnull[ACT_EVENT_METADATA - 1])
		return 0;
	metadata = DatumGetJsonbP(event->tts_values[ACT_EVENT_METADATA - 1]);
	if (act_json_find(metadata, "events", 6, &events) == NULL ||
		events.type != jbvNumeric)
		return 0;
	number = DatumGetCString(DirectFunctionCall1(numeric_out,
												 NumericGetDatum(events.val.numeric)));
	length = strspn(number, "0123456789");
	return number[length] == '\0' && length <= 18 ? strtoll(number, NULL, 10) : 0;
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
	ActVerification *v = argument;
	bool		isnull;
	Datum		xid = slot_getattr(row, ACT_EVENT_XID, &isnull);
	pg_uuid_t  *id = DatumGetUUIDP(slot_getattr(row, ACT_EVENT_ID, &isnull));

	if (act_progress_covers(&v->progress,
							U64FromFullTransactionId(DatumGetFullTransactionId(xid)),
							id))
		add(&v->stored, id);
}

/* The ids of the stream, beside which published events are inserted ones. */
static bool
remember_some(ActVerification *v)
{
	ActStreamRow at;

	if (v->ids == NULL)
	{
		HASHCTL		control = {0};

		control.keysize = sizeof(pg_uuid_t);
		control.entrysize = sizeof(Id);
		control.hcxt = v->context;
		v->ids = hash_create("activity verify ids", 1024, &control,
							 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	for (int i = 0; i < STEP_ROWS; i++)
	{
		bool		found;
		Id		   *entry;

		CHECK_FOR_INTERRUPTS();
		if (!act_stream_next(v->stream, &at))
			return false;
		entry = hash_search(v->ids, &at.id, HASH_ENTER, &found);
		entry->met = false;
		if (found)
			report(v, at.position, "its event is at another position, too");
	}
	return true;
}

static void
report_inserted(TupleTableSlot *row, void *argument)
{
	ActVerification *v = argument;
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

static void
report(ActVerification *v, int64 position, const char *problem)
{
	v->report(v->argument, position, problem);
}
