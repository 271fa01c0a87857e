/*
 * stream/chain.c
 *		The hash chain over an organization's stream.
 *
 *	hash(0) = sha256(organization's id)
 *	hash(n) = sha256(hash(n - 1) || position as 8 bytes || digest of the event)
 *
 * The digest has two parts, so that what is personal can be erased while the
 * event stays provable:
 *
 *	digest     = sha256(skeleton || commitment)
 *	commitment = sha256(salt || personal)
 *
 * The skeleton stays after a redaction; the commitment is kept in place of salt
 * and personal part then, and tells nothing about them, since the salt's 16
 * random bytes are gone.
 *
 * Both are of bytes that any language can make again from what COPY prints
 * (docs/internals.md): every column, numbers and texts with their length in
 * front, jsonb as its text with a zero byte behind, organization and event type
 * by name rather than by the key that they happen to have here.  Text columns are
 * bytes in the database's encoding: converting could fail.  Nothing is made
 * whole: an event of any size is hashed in pieces.
 */
#include "activity.h"

#include <openssl/evp.h>

#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "base/json_print.h"
#include "stream/chain.h"
#include "event/event.h"
#include "event/incarnation.h"
#include "taxonomy/taxonomy.h"

/* The skeleton begins with it; it ends with the segment's format. */
#define FORM "activity.event.2"

#define UNIX_EPOCH \
	((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

StaticAssertDecl(ACT_CHAIN_FORMAT == 2, "FORM says the format");

/* Bytes that are gathered before they are hashed. */
#define PIECE (16 * 1024)

/* OpenSSL's memory goes with that of the chain. */
typedef struct Sha256
{
	EVP_MD_CTX *state;			/* NULL: freed */
	MemoryContextCallback at_reset;
} Sha256;

/*
 * pg_cryptohash would do, but looks the algorithm up in OpenSSL each time that a
 * hash begins, under locks: with three of them an event that was a tenth of what
 * publishing costs, and a fifth of verifying.
 */
struct ActChain
{
	Sha256	   *sha256;
	int			used;
	uint8		piece[PIECE];
};

static void free_state(void *sha256);
static void put(ActChain *chain, const void *bytes, int len);
static void finish(ActChain *chain, uint8 *hash);
static void put_null(ActChain *chain);
static void put_bytes(ActChain *chain, const void *bytes, int len);
static void put_int32(ActChain *chain, TupleTableSlot *event, int column);
static void put_int64(ActChain *chain, TupleTableSlot *event, int column,
					  int64 shift);
static void put_xid(ActChain *chain, TupleTableSlot *event);
static void put_text(ActChain *chain, TupleTableSlot *event, int column);
static void put_jsonb(ActChain *chain, TupleTableSlot *event, int column);
static void put_printed(void *chain, const char *bytes, int len);
static void skeleton(ActChain *chain, TupleTableSlot *event,
					 const char *organization);

ActChain *
act_chain_create(void)
{
	ActChain   *chain = palloc(sizeof(ActChain));
	Sha256	   *sha256 = palloc0(sizeof(Sha256));

	sha256->at_reset.func = free_state;
	sha256->at_reset.arg = sha256;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &sha256->at_reset);
	sha256->state = EVP_MD_CTX_new();
	if (sha256->state == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	if (EVP_DigestInit_ex(sha256->state, EVP_sha256(), NULL) != 1)
		elog(ERROR, "could not compute SHA-256");
	chain->sha256 = sha256;
	chain->used = 0;
	return chain;
}

void
act_chain_free(ActChain *chain)
{
	/* What is called at the reset stays. */
	free_state(chain->sha256);
	pfree(chain);
}

static void
free_state(void *argument)
{
	Sha256	   *sha256 = argument;

	EVP_MD_CTX_free(sha256->state);
	sha256->state = NULL;
}

void
act_chain_start(ActChain *chain, const char *organization, uint8 *hash)
{
	put(chain, organization, strlen(organization));
	finish(chain, hash);
}

void
act_chain_commitment(ActChain *chain, TupleTableSlot *event, uint8 *commitment)
{
	slot_getallattrs(event);
	if (!event->tts_isnull[ACT_EVENT_COMMITMENT - 1])
	{
		bytea	   *kept = DatumGetByteaPP(event->tts_values[ACT_EVENT_COMMITMENT - 1]);

		/* Of another length it is forged; its hash is as wrong as any. */
		if (VARSIZE_ANY_EXHDR(kept) == ACT_CHAIN_BYTES)
		{
			memcpy(commitment, VARDATA_ANY(kept), ACT_CHAIN_BYTES);
			return;
		}
	}
	if (event->tts_isnull[ACT_EVENT_SALT - 1])
		put_null(chain);
	else
		put(chain, DatumGetUUIDP(event->tts_values[ACT_EVENT_SALT - 1]), UUID_LEN);
	put_int32(chain, event, ACT_EVENT_ACTOR_HASH);
	put_int32(chain, event, ACT_EVENT_SUBJECT_HASH);
	put_int32(chain, event, ACT_EVENT_ON_BEHALF_OF_HASH);
	put_text(chain, event, ACT_EVENT_ACTOR_KIND);
	put_text(chain, event, ACT_EVENT_ACTOR_ID);
	put_text(chain, event, ACT_EVENT_ACTOR_NAME);
	put_text(chain, event, ACT_EVENT_DESCRIPTION);
	put_jsonb(chain, event, ACT_EVENT_SUBJECT);
	put_jsonb(chain, event, ACT_EVENT_METADATA);
	put_jsonb(chain, event, ACT_EVENT_CONTEXT);
	put_jsonb(chain, event, ACT_EVENT_ON_BEHALF_OF);
	finish(chain, commitment);
}

void
act_chain_digest(ActChain *chain, TupleTableSlot *event,
				 const char *organization, uint8 *digest)
{
	uint8		commitment[ACT_CHAIN_BYTES];

	act_chain_commitment(chain, event, commitment);
	skeleton(chain, event, organization);
	put(chain, commitment, ACT_CHAIN_BYTES);
	finish(chain, digest);
}

static void
skeleton(ActChain *chain, TupleTableSlot *event, const char *organization)
{
	const ActEventType *type =
		act_taxonomy_get(DatumGetInt32(event->tts_values[ACT_EVENT_TYPE - 1]));

	put(chain, FORM, strlen(FORM));
	put_bytes(chain, DatumGetUUIDP(event->tts_values[ACT_EVENT_ID - 1]), UUID_LEN);
	put_bytes(chain, organization, strlen(organization));
	if (type != NULL)
		put_bytes(chain, type->key, strlen(type->key));
	else
		put_null(chain);
	put_int64(chain, event, ACT_EVENT_OCCURRED_AT, UNIX_EPOCH);
	put_int64(chain, event, ACT_EVENT_RECORDED_AT, UNIX_EPOCH);
	put_xid(chain, event);
}

void
act_chain_extend(ActChain *chain, int64 position, const uint8 *digest,
				 uint8 *hash)
{
	uint64		number = pg_hton64((uint64) position);

	Assert(position > 0);
	put(chain, hash, ACT_CHAIN_BYTES);
	put(chain, &number, sizeof(number));
	put(chain, digest, ACT_CHAIN_BYTES);
	finish(chain, hash);
}

/* An error may have left half of something. */
void
act_chain_begin(ActChain *chain)
{
	chain->used = 0;

	/* The same algorithm again. */
	if (EVP_DigestInit_ex(chain->sha256->state, NULL, NULL) != 1)
		elog(ERROR, "could not compute SHA-256");
}

static void
update(ActChain *chain, const void *bytes, int len)
{
	if (len > 0 && EVP_DigestUpdate(chain->sha256->state, bytes, len) != 1)
		elog(ERROR, "could not compute SHA-256");
}

static void
put(ActChain *chain, const void *bytes, int len)
{
	if (chain->used + len > PIECE)
	{
		update(chain, chain->piece, chain->used);
		chain->used = 0;
		if (len > PIECE)
		{
			update(chain, bytes, len);
			return;
		}
	}
	memcpy(chain->piece + chain->used, bytes, len);
	chain->used += len;
}

static void
finish(ActChain *chain, uint8 *hash)
{
	update(chain, chain->piece, chain->used);
	if (EVP_DigestFinal_ex(chain->sha256->state, hash, NULL) != 1)
		elog(ERROR, "could not compute SHA-256");
	act_chain_begin(chain);
}

/* A length that nothing has. */
static void
put_null(ActChain *chain)
{
	put(chain, "\xff\xff\xff\xff", 4);
}

static void
put_bytes(ActChain *chain, const void *bytes, int len)
{
	uint32		length = pg_hton32((uint32) len);

	put(chain, &length, sizeof(length));
	put(chain, bytes, len);
}

static void
put_int32(ActChain *chain, TupleTableSlot *event, int column)
{
	uint32		value;

	if (event->tts_isnull[column - 1])
	{
		put_null(chain);
		return;
	}
	value = pg_hton32(DatumGetUInt32(event->tts_values[column - 1]));
	put_bytes(chain, &value, sizeof(value));
}

static void
put_int64(ActChain *chain, TupleTableSlot *event, int column, int64 shift)
{
	uint64		value;

	if (event->tts_isnull[column - 1])
	{
		put_null(chain);
		return;
	}
	value = pg_hton64((uint64) DatumGetInt64(event->tts_values[column - 1]) +
					  (uint64) shift);
	put_bytes(chain, &value, sizeof(value));
}

/* As it was where the event was published. */
static void
put_xid(ActChain *chain, TupleTableSlot *event)
{
	uint64		value;

	if (event->tts_isnull[ACT_EVENT_XID - 1])
	{
		put_null(chain);
		return;
	}
	value = pg_hton64((uint64) DatumGetInt64(event->tts_values[ACT_EVENT_XID - 1]) &
					  ~ACT_INCARNATION_ELSEWHERE);
	put_bytes(chain, &value, sizeof(value));
}

static void
put_text(ActChain *chain, TupleTableSlot *event, int column)
{
	Datum		datum = event->tts_values[column - 1];
	text	   *value;

	if (event->tts_isnull[column - 1])
	{
		put_null(chain);
		return;
	}
	value = DatumGetTextPP(datum);
	put_bytes(chain, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	if ((Pointer) value != DatumGetPointer(datum))
		pfree(value);
}

static void
put_printed(void *chain, const char *bytes, int len)
{
	put(chain, bytes, len);
}

/* Its length is known only behind it; and no zero byte is in it. */
static void
put_jsonb(ActChain *chain, TupleTableSlot *event, int column)
{
	Datum		datum = event->tts_values[column - 1];
	Jsonb	   *value;

	if (event->tts_isnull[column - 1])
	{
		put_null(chain);
		return;
	}
	value = DatumGetJsonbP(datum);
	act_json_print(value, true, put_printed, chain);
	put(chain, "", 1);
	if ((Pointer) value != DatumGetPointer(datum))
		pfree(value);
}
