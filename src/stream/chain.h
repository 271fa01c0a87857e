/*
 * stream/chain.h
 *		The hash chain over an organization's stream.
 */
#ifndef ACT_CHAIN_H
#define ACT_CHAIN_H

#include "common/sha2.h"
#include "executor/tuptable.h"

#define ACT_CHAIN_BYTES PG_SHA256_DIGEST_LENGTH

/* Of digests; each segment of the stream names the one that it was made with. */
#define ACT_CHAIN_FORMAT 2

typedef struct ActChain ActChain;

/* What is needed to hash; in the current context, to be freed. */
extern ActChain *act_chain_create(void);
extern void act_chain_free(ActChain *chain);

/* Forgets what an error has left half done. */
extern void act_chain_begin(ActChain *chain);

/* hash(0): of the organization's id. */
extern void act_chain_start(ActChain *chain, const char *organization,
							uint8 *hash);

/* The digest of an event's canonical bytes; the slot holds its row. */
extern void act_chain_digest(ActChain *chain, TupleTableSlot *event,
							 const char *organization, uint8 *digest);

/*
 * The commitment to an event's personal part: what is kept after a redaction,
 * else computed.
 */
extern void act_chain_commitment(ActChain *chain, TupleTableSlot *event,
								 uint8 *commitment);

/* hash(n) of hash(n - 1), in place. */
extern void act_chain_extend(ActChain *chain, int64 position,
							 const uint8 *digest, uint8 *hash);

#endif
