/*
 * stream/verification.h
 *		Proving that nothing of an organization was changed, a part at a time.
 */
#ifndef ACT_VERIFICATION_H
#define ACT_VERIFICATION_H

#include "stream/stream.h"

typedef struct ActVerification ActVerification;

/* Is called with each problem; position 0 is none. */
typedef void (*ActVerifyReport) (void *argument, int64 position, const char *problem);

/*
 * In the current context, with a snapshot of now, until the end.  NULL for an
 * organization that never had an event.
 */
extern ActVerification *act_verification_begin(const char *organization,
											   ActVerifyReport report, void *argument);
extern void act_verification_end(ActVerification *v);

/* Some thousand rows; false when all is done. */
extern bool act_verification_step(ActVerification *v);

/* What is being looked at, and how many rows of how many. */
extern const char *act_verification_progress(const ActVerification *v,
											 int64 *done, int64 *of);

/*
 * The newest position, with its hash, and how many are kept up to it.  If there is
 * none, position 0 with the hash before the first one.
 */
extern const ActStreamRow *act_verification_newest(const ActVerification *v,
												   int64 *events);

#endif
