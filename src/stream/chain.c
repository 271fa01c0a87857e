/*
 * stream/chain.c
 *		The hash chain over an organization's stream.
 *
 *	hash(0) = sha256(organization's id)
 *	hash(n) = sha256(hash(n - 1) || position as 8 bytes || digest of the event)
 *
 * The digest is of bytes that any language can make again from what COPY
 * prints (docs/internals.md): every column, each with its length in front,
 * numbers big-endian, jsonb as its text, organization and event type by name
 * rather than by the key that they happen to have here.  The text columns are
 * bytes in the database's encoding: converting could fail, and an event that
 * can't be published would stop all others.
 */
#include "activity.h"

#include "common/cryptohash.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "stream/chain.h"
#include "event/event.h"
#include "taxonomy/taxonomy.h"

/* The canonical bytes begin with it; another form will have another number. */
#define FORM "activity.event.1"

#define UNIX_EPOCH \
	((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

struct ActChain
{
	pg_cryptohash_ctx *sha256;
	StringInfoData bytes;
};

static void hash_bytes_of(ActChain *chain, uint8 *hash);
static void put_null(StringInfo out);
static void put_bytes(StringInfo out, const void *bytes, int len);
static void put_int32(StringInfo out, TupleTableSlot *event, int column);
static void put_int64(StringInfo out, TupleTableSlot *event, int column,
					  int64 shift);
static void put_text(StringInfo out, TupleTableSlot *event, int column);
static void put_jsonb(StringInfo out, TupleTableSlot *event, int column);

ActChain *
act_chain_create(void)
{
	ActChain   *chain = palloc(sizeof(ActChain));

	chain->sha256 = pg_cryptohash_create(PG_SHA256);
	if (chain->sha256 == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	initStringInfo(&chain->bytes);
	return chain;
}

void
act_chain_free(ActChain *chain)
{
	pg_cryptohash_free(chain->sha256);
	pfree(chain->bytes.data);
	pfree(chain);
}

void
act_chain_start(ActChain *chain, const char *organization, uint8 *hash)
{
	resetStringInfo(&chain->bytes);
	appendStringInfoString(&chain->bytes, organization);
	hash_bytes_of(chain, hash);
}

void
act_chain_digest(ActChain *chain, TupleTableSlot *event,
				 const char *organization, uint8 *digest)
{
	StringInfo	out = &chain->bytes;
	const ActEventType *type;

	slot_getallattrs(event);
	resetStringInfo(out);
	appendBinaryStringInfo(out, FORM, strlen(FORM));
	put_bytes(out, DatumGetUUIDP(event->tts_values[ACT_EVENT_ID - 1]), UUID_LEN);
	put_int64(out, event, ACT_EVENT_OCCURRED_AT, UNIX_EPOCH);
	put_int64(out, event, ACT_EVENT_XID, 0);
	put_int64(out, event, ACT_EVENT_SALT, 0);
	put_bytes(out, organization, strlen(organization));
	type = act_taxonomy_get(DatumGetInt32(event->tts_values[ACT_EVENT_TYPE - 1]));
	if (type != NULL)
		put_bytes(out, type->key, strlen(type->key));
	else
		put_null(out);
	put_int32(out, event, ACT_EVENT_ACTOR_HASH);
	put_int32(out, event, ACT_EVENT_SUBJECT_HASH);
	put_text(out, event, ACT_EVENT_ACTOR_KIND);
	put_text(out, event, ACT_EVENT_ACTOR_ID);
	put_text(out, event, ACT_EVENT_ACTOR_NAME);
	put_text(out, event, ACT_EVENT_DESCRIPTION);
	put_jsonb(out, event, ACT_EVENT_SUBJECT);
	put_jsonb(out, event, ACT_EVENT_METADATA);
	put_jsonb(out, event, ACT_EVENT_CONTEXT);
	hash_bytes_of(chain, digest);
}

void
act_chain_extend(ActChain *chain, int64 position, const uint8 *digest,
				 uint8 *hash)
{
	uint64		number = pg_hton64((uint64) position);

	resetStringInfo(&chain->bytes);
	appendBinaryStringInfo(&chain->bytes, (const char *) hash, ACT_CHAIN_BYTES);
	appendBinaryStringInfo(&chain->bytes, (const char *) &number, sizeof(number));
	appendBinaryStringInfo(&chain->bytes, (const char *) digest, ACT_CHAIN_BYTES);
	hash_bytes_of(chain, hash);
}

static void
hash_bytes_of(ActChain *chain, uint8 *hash)
{
	if (pg_cryptohash_init(chain->sha256) < 0 ||
		pg_cryptohash_update(chain->sha256, (const uint8 *) chain->bytes.data,
							 chain->bytes.len) < 0 ||
		pg_cryptohash_final(chain->sha256, hash, ACT_CHAIN_BYTES) < 0)
		elog(ERROR, "could not compute SHA-256");
}

/* A length that nothing has. */
static void
put_null(StringInfo out)
{
	appendBinaryStringInfo(out, "\xff\xff\xff\xff", 4);
}

static void
put_bytes(StringInfo out, const void *bytes, int len)
{
	uint32		length = pg_hton32((uint32) len);

	appendBinaryStringInfo(out, (const char *) &length, sizeof(length));
	appendBinaryStringInfo(out, bytes, len);
}

static void
put_int32(StringInfo out, TupleTableSlot *event, int column)
{
	uint32		value;

	if (event->tts_isnull[column - 1])
	{
		put_null(out);
		return;
	}
	value = pg_hton32(DatumGetUInt32(event->tts_values[column - 1]));
	put_bytes(out, &value, sizeof(value));
}

static void
put_int64(StringInfo out, TupleTableSlot *event, int column, int64 shift)
{
	uint64		value;

	if (event->tts_isnull[column - 1])
	{
		put_null(out);
		return;
	}
	value = pg_hton64((uint64) DatumGetInt64(event->tts_values[column - 1]) +
					  (uint64) shift);
	put_bytes(out, &value, sizeof(value));
}

static void
put_text(StringInfo out, TupleTableSlot *event, int column)
{
	Datum		datum = event->tts_values[column - 1];
	text	   *value;

	if (event->tts_isnull[column - 1])
	{
		put_null(out);
		return;
	}
	value = DatumGetTextPP(datum);
	put_bytes(out, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	if ((Pointer) value != DatumGetPointer(datum))
		pfree(value);
}

/* Printed in place, its length put in front afterwards. */
static void
put_jsonb(StringInfo out, TupleTableSlot *event, int column)
{
	Datum		datum = event->tts_values[column - 1];
	Jsonb	   *value;
	int			start;
	uint32		length;

	if (event->tts_isnull[column - 1])
	{
		put_null(out);
		return;
	}
	value = DatumGetJsonbP(datum);
	start = out->len;
	put_null(out);
	(void) JsonbToCString(out, &value->root, VARSIZE(value));
	length = pg_hton32((uint32) (out->len - start - sizeof(length)));
	memcpy(out->data + start, &length, sizeof(length));
	if ((Pointer) value != DatumGetPointer(datum))
		pfree(value);
}
