/*
 * stream/subscriber.h
 *		What else happens to events when they are published.
 */
#ifndef ACT_SUBSCRIBER_H
#define ACT_SUBSCRIBER_H

#include "datatype/timestamp.h"
#include "executor/tuptable.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

/* An event that has just been given its position. */
typedef struct ActPublished
{
	int32		organization;	/* key */
	int32		type;			/* taxonomy code */
	int64		position;		/* in the organization's stream, from 1 */
	pg_uuid_t	id;
	TimestampTz occurred_at;
	TimestampTz recorded_at;
	text	   *actor;			/* its id, or NULL */
	Jsonb	   *subject;		/* these two NULL unless somebody wants them */
	Jsonb	   *metadata;
	bool		redacted;		/* so that subject and metadata are gone */
} ActPublished;

typedef struct ActSubscriber
{
	const char *name;			/* in activity.set_aside */

	/*
	 * Called in the publisher's transaction, after the stream has the events.
	 * Those of one call are in the order of the stream, which is mixed of
	 * organizations; a call brings one or more, not necessarily all of the batch,
	 * and rows of this transaction are visible to a snapshot taken now.  If it
	 * throws, it is called again for each organization by itself, and one for
	 * which it throws alone is set aside: its events wait until a call succeeds, in
	 * their order, while the others go on.  The user is whoever publishes.
	 */
	void		(*take) (const ActPublished *events, int count);

	/*
	 * Called after one or more takes, at the latest when the batch ends, to write
	 * what they have gathered; NULL: nothing waits.  What an abort cut short is
	 * never flushed, so what is gathered must go with CurTransactionContext.
	 */
	void		(*flush) (void);

	/* Are subject and metadata of such an event wanted?  NULL: never. */
	bool		(*wants) (int32 type);

	/* How many rows an event of the organization may make; NULL: few. */
	int			(*weigh) (int32 organization);
} ActSubscriber;

/* Once for each, from _PG_init; the pointer is kept. */
extern void act_subscriber_add(const ActSubscriber *subscriber);

/* What they are told of an event, all but its position; copied into the current
 * context. */
extern void act_subscriber_describe(TupleTableSlot *row, ActPublished *event);

/* Tells all of them, without a subtransaction; or throws. */
extern void act_subscriber_tell(const ActPublished *events, int count);

/* The batch that was told so is at its end. */
extern void act_subscriber_flush(void);

/*
 * Tells all of them, each of each organization by itself.  *asides has what is set
 * aside, and gets what is now.
 */
extern void act_subscriber_tell_each(const ActPublished *events, int count,
									 List **asides);

/* Is it the name of one? */
extern bool act_subscriber_is_one(const char *name);

/* Tells those that have missed something what they have missed, if it is time. */
extern void act_subscriber_catch_up(List *asides);

/* Rows that an event of the organization may make, of all of them together. */
extern int	act_subscriber_weight(int32 organization);

#endif
