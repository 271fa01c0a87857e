/*
 * stream/publisher.h
 *		The one writer of the stream: gives committed events their positions.
 */
#ifndef ACT_PUBLISHER_H
#define ACT_PUBLISHER_H

#include "postgres.h"

/* Somebody else is publishing; he may leave some of it to us. */
#define ACT_PUBLISHER_BUSY (-1)

/*
 * Publishes one batch, if there is something to publish; the number of events
 * that got a position, or ACT_PUBLISHER_BUSY.  *more, unless NULL, says
 * whether to call again at once (in another transaction, so that readers see
 * what is done).  Holds the right to publish until the transaction ends (right.h):
 * the caller sees to it that this is soon.
 */
extern int64 act_publisher_run(bool *more);

/*
 * The same for a call by hand, which may be this session's only one: after a failure
 * of something that can be set aside it begins again, carefully.
 */
extern int64 act_publisher_run_by_hand(bool *more);

#endif
