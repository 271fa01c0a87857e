/*
 * export/proof.h
 *		A part of the chain as lines that are verified without the database.
 */
#ifndef ACT_EXPORT_PROOF_H
#define ACT_EXPORT_PROOF_H

#include "lib/stringinfo.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

#include "feed/filter.h"

typedef struct ActProof ActProof;

/*
 * Up to the cursor, which was checked; with the active snapshot, as everything
 * below.  In the current memory context; what it points to must live as long.
 */
extern ActProof *act_proof_begin(const char *organization,
								 const ActFeedFilter *filter, const char *cursor);

/* The first line: what was asked for, and the hash from which the chain goes on. */
extern void act_proof_header(ActProof *proof, StringInfo out, Jsonb *request);

/*
 * The lines of the next positions, as many as there may be or until they are as many
 * bytes: calls add with each, and the id of an event that it shows.  False at the end.
 */
typedef void (*ActProofAdd) (void *state, const char *line, int len,
							 const pg_uuid_t *id);
extern bool act_proof_page(ActProof *proof, int lines, Size bytes,
						   ActProofAdd add, void *state);

/* The last line, given the digest of the bytes of all others. */
extern void act_proof_end(ActProof *proof, StringInfo out, const char *sha256);

#endif
