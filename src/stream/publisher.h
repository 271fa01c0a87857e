/*
 * stream/publisher.h
 *		The one writer of the stream: gives committed events their positions.
 */
#ifndef ACT_PUBLISHER_H
#define ACT_PUBLISHER_H

#include "datatype/timestamp.h"
#include "utils/uuid.h"

/* An event that has just been given its position. */
typedef struct ActPublished
{
	int32		organization;	/* key */
	int32		type;			/* taxonomy code */
	int64		position;		/* in the organization's stream, from 1 */
	pg_uuid_t	id;
	TimestampTz occurred_at;
} ActPublished;

/*
 * What else happens to events when they are published, in the publisher's
 * transaction, after the stream has them: a webhook's deliveries are made
 * here.  The events of one call are in the order of the stream, which is mixed
 * of organizations; a call brings one or more, not necessarily all of the
 * batch, and rows of this transaction are visible to an snapshot taken now.
 * Whatever it throws makes publishing fail, again and again: throw for nothing
 * that belongs to one event.  The user is whoever publishes; an owner's rights
 * must be taken on as upkeep.h does.  NULL until somebody sets it, in _PG_init.
 */
typedef void (*ActFanOut) (const ActPublished *events, int count);
extern ActFanOut act_publisher_fan_out;

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

#endif
