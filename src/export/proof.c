/*
 * export/proof.c
 *		A part of the chain as lines that are verified without the database.
 *
 * A line for each position, in the order of the stream, with the position's hash and
 *
 *	- the event, with all that its digest is made of, if the filter takes it;
 *	- else its digest, which tells nothing, since 16 random bytes are in it; but
 *	  the hash can be computed, so that no event can be left out or slipped in;
 *	- nothing else, where retention has removed the event.
 *
 * JSON columns are strings here: it is their text that was hashed, and any parser
 * gives a string's bytes back, but not an object's.  scripts/verify-chain reads it,
 * and docs/export.md says what each field is.
 */
#include "activity.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"
#include "utils/xid8.h"

#include "base/columns.h"
#include "base/json_print.h"
#include "event/incarnation.h"
#include "event/lookup.h"
#include "export/proof.h"
#include "stream/chain.h"
#include "stream/stream.h"
#include "taxonomy/taxonomy.h"

#define UNIX_EPOCH \
	((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

struct ActProof
{
	const char *organization;
	const ActFeedFilter *filter;
	const char *cursor;
	ActChain   *chain;
	int64		position;		/* reached */
	int64		until;
	uint8		hash[ACT_CHAIN_BYTES];	/* at position */
	MemoryContext scratch;		/* of one line */
};

static bool shows(const ActProof *proof, TupleTableSlot *event);
static void append_line(ActProof *proof, StringInfo out, const ActStreamRow *at,
						TupleTableSlot *event, bool shown);
static void append_event(StringInfo out, TupleTableSlot *event);
static void append_hex(StringInfo out, const char *before, const uint8 *bytes,
					   int len);
static void append_string(StringInfo out, const char *before, const char *bytes,
						  int len);
static void append_number(StringInfo out, const char *before,
						  TupleTableSlot *event, int column);
static void append_text(StringInfo out, const char *before,
						TupleTableSlot *event, int column);
static void append_json(StringInfo out, const char *before,
						TupleTableSlot *event, int column);

ActProof *
act_proof_begin(const char *organization, const ActFeedFilter *filter,
				const char *cursor)
{
	ActProof   *proof = palloc0(sizeof(ActProof));
	ActStreamReader *stream = act_stream_open(GetActiveSnapshot());
	ActStreamRow start;
	int32		epoch;

	proof->organization = organization;
	proof->filter = filter;
	proof->cursor = cursor;
	proof->chain = act_chain_create();
	proof->scratch = AllocSetContextCreate(CurrentMemoryContext,
										   "activity proof line",
										   ALLOCSET_DEFAULT_SIZES);
	act_stream_parse_cursor(cursor, &epoch, &proof->until);
	act_chain_start(proof->chain, organization, proof->hash);

	/* What retention has left of the past is its hash. */
	if (act_stream_anchored(stream, filter->organization, &start))
	{
		if (start.position > proof->until)
			(void) act_stream_at(stream, filter->organization, proof->until, &start);
		proof->position = start.position;
		memcpy(proof->hash, start.hash, ACT_CHAIN_BYTES);
	}
	act_stream_close(stream);
	return proof;
}

void
act_proof_header(ActProof *proof, StringInfo out, Jsonb *request)
{
	appendStringInfo(out, "{\"proof\":%d", ACT_CHAIN_FORMAT);
	append_string(out, ",\"organization\":", proof->organization,
				  strlen(proof->organization));
	appendStringInfo(out, ",\"cursor\":\"%s\",\"encoding\":\"%s\",\"filters\":",
					 proof->cursor, GetDatabaseEncodingName());
	act_json_print(request, false, act_json_append, out);
	appendStringInfo(out, ",\"after\":{\"position\":" INT64_FORMAT, proof->position);
	append_hex(out, ",\"hash\":", proof->hash, ACT_CHAIN_BYTES);
	appendStringInfoString(out, "}}");
}

bool
act_proof_page(ActProof *proof, int lines, Size bytes, ActProofAdd add,
			   void *state)
{
	ActStreamReader *stream = act_stream_open(GetActiveSnapshot());
	ActLookup  *lookup = act_lookup_open(GetActiveSnapshot());
	ActStreamRow at;
	bool		more = true;
	Size		made = 0;

	act_stream_seek(stream, proof->filter->organization, proof->position);
	for (int i = 0; i < lines && made < bytes; i++)
	{
		TupleTableSlot *event;
		StringInfoData line;
		MemoryContext old;
		bool		shown;

		CHECK_FOR_INTERRUPTS();
		more = act_stream_next(stream, &at) && at.position <= proof->until;
		if (!more)
			break;
		event = act_lookup_event(lookup, at.organization, &at.id);
		old = MemoryContextSwitchTo(proof->scratch);
		shown = event != NULL && shows(proof, event);
		initStringInfo(&line);
		append_line(proof, &line, &at, event, shown);
		add(state, line.data, line.len, shown ? &at.id : NULL);
		made += line.len;
		proof->position = at.position;
		memcpy(proof->hash, at.hash, ACT_CHAIN_BYTES);
		MemoryContextSwitchTo(old);
		MemoryContextReset(proof->scratch);
	}
	act_lookup_close(lookup);
	act_stream_close(stream);
	return more;
}

void
act_proof_end(ActProof *proof, StringInfo out, const char *sha256)
{
	appendStringInfo(out, "{\"position\":" INT64_FORMAT, proof->position);
	append_hex(out, ",\"hash\":", proof->hash, ACT_CHAIN_BYTES);
	appendStringInfo(out, ",\"sha256\":\"%s\"}", sha256);
}

/* The feed finds events of these times by index; here they are compared. */
static bool
shows(const ActProof *proof, TupleTableSlot *event)
{
	const ActFeedFilter *filter = proof->filter;
	bool		isnull;
	pg_uuid_t  *id = DatumGetUUIDP(slot_getattr(event, ACT_EVENT_ID, &isnull));

	return !filter->impossible &&
		memcmp(id, &filter->low, UUID_LEN) >= 0 &&
		memcmp(id, &filter->high, UUID_LEN) <= 0 &&
		act_feed_filter_takes(filter, event);
}

static void
append_line(ActProof *proof, StringInfo out, const ActStreamRow *at,
			TupleTableSlot *event, bool shown)
{
	uint8		digest[ACT_CHAIN_BYTES];

	appendStringInfo(out, "{\"position\":" INT64_FORMAT, at->position);
	append_hex(out, ",\"hash\":", at->hash, ACT_CHAIN_BYTES);
	if (shown)
		append_event(out, event);
	else if (event != NULL)
	{
		act_chain_digest(proof->chain, event, proof->organization, digest);
		append_hex(out, ",\"digest\":", digest, ACT_CHAIN_BYTES);
	}
	appendStringInfoChar(out, '}');
}

/* What is hashed, in that order (chain.c). */
static void
append_event(StringInfo out, TupleTableSlot *event)
{
	const ActEventType *type;

	slot_getallattrs(event);
	type = act_taxonomy_get(DatumGetInt32(event->tts_values[ACT_EVENT_TYPE - 1]));
	appendStringInfo(out, ",\"event\":{\"id\":\"%s\",\"type\":",
					 DatumGetCString(DirectFunctionCall1(uuid_out,
														 event->tts_values[ACT_EVENT_ID - 1])));
	if (type == NULL)
		appendStringInfoString(out, "null");
	else
		append_string(out, "", type->key, strlen(type->key));
	append_number(out, ",\"occurredAt\":", event, ACT_EVENT_OCCURRED_AT);
	append_number(out, ",\"recordedAt\":", event, ACT_EVENT_RECORDED_AT);
	append_number(out, ",\"xid\":", event, ACT_EVENT_XID);
	if (!event->tts_isnull[ACT_EVENT_COMMITMENT - 1])
	{
		bytea	   *kept = DatumGetByteaPP(event->tts_values[ACT_EVENT_COMMITMENT - 1]);

		append_hex(out, ",\"commitment\":", (uint8 *) VARDATA_ANY(kept),
				   VARSIZE_ANY_EXHDR(kept));
	}
	if (!event->tts_isnull[ACT_EVENT_SALT - 1])
		append_hex(out, ",\"salt\":",
				   DatumGetUUIDP(event->tts_values[ACT_EVENT_SALT - 1])->data, UUID_LEN);
	append_number(out, ",\"actorHash\":", event, ACT_EVENT_ACTOR_HASH);
	append_number(out, ",\"subjectHash\":", event, ACT_EVENT_SUBJECT_HASH);
	append_number(out, ",\"onBehalfOfHash\":", event, ACT_EVENT_ON_BEHALF_OF_HASH);
	append_text(out, ",\"actorKind\":", event, ACT_EVENT_ACTOR_KIND);
	append_text(out, ",\"actorId\":", event, ACT_EVENT_ACTOR_ID);
	append_text(out, ",\"actorName\":", event, ACT_EVENT_ACTOR_NAME);
	append_text(out, ",\"description\":", event, ACT_EVENT_DESCRIPTION);
	append_json(out, ",\"subject\":", event, ACT_EVENT_SUBJECT);
	append_json(out, ",\"metadata\":", event, ACT_EVENT_METADATA);
	append_json(out, ",\"context\":", event, ACT_EVENT_CONTEXT);
	append_json(out, ",\"onBehalfOf\":", event, ACT_EVENT_ON_BEHALF_OF);
	appendStringInfoChar(out, '}');
}

static void
append_hex(StringInfo out, const char *before, const uint8 *bytes, int len)
{
	appendStringInfo(out, "%s\"", before);
	enlargeStringInfo(out, 2 * len);
	out->len += hex_encode((const char *) bytes, len, out->data + out->len);
	out->data[out->len] = '\0';
	appendStringInfoChar(out, '"');
}

static void
append_string(StringInfo out, const char *before, const char *bytes, int len)
{
	appendStringInfoString(out, before);
	act_json_print_string(bytes, len, act_json_append, out);
}

/* Numbers of 8 bytes are strings: many readers' numbers are too short for them. */
static void
append_number(StringInfo out, const char *before, TupleTableSlot *event,
			  int column)
{
	Datum		value = event->tts_values[column - 1];

	appendStringInfoString(out, before);
	if (event->tts_isnull[column - 1])
		appendStringInfoString(out, "null");
	else if (column == ACT_EVENT_XID)
		appendStringInfo(out, "\"" UINT64_FORMAT "\"",
						 DatumGetUInt64(value) & ~ACT_INCARNATION_ELSEWHERE);
	else if (column == ACT_EVENT_OCCURRED_AT || column == ACT_EVENT_RECORDED_AT)
		appendStringInfo(out, "\"" INT64_FORMAT "\"",
						 DatumGetTimestampTz(value) + UNIX_EPOCH);
	else
		appendStringInfo(out, "%d", DatumGetInt32(value));
}

static void
append_text(StringInfo out, const char *before, TupleTableSlot *event,
			int column)
{
	text	   *value;

	if (event->tts_isnull[column - 1])
	{
		appendStringInfo(out, "%snull", before);
		return;
	}
	value = DatumGetTextPP(event->tts_values[column - 1]);
	append_string(out, before, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
}

/* The text that was hashed, as a string. */
static void
append_json(StringInfo out, const char *before, TupleTableSlot *event,
			int column)
{
	StringInfoData printed;

	if (event->tts_isnull[column - 1])
	{
		appendStringInfo(out, "%snull", before);
		return;
	}
	initStringInfo(&printed);
	act_json_print(DatumGetJsonbP(event->tts_values[column - 1]), true,
				   act_json_append, &printed);
	append_string(out, before, printed.data, printed.len);
	pfree(printed.data);
}
