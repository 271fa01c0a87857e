/*
 * numbers/settled.h
 *		Of which time the rollups that are put together tell, and what they lack.
 */
#ifndef ACT_SETTLED_H
#define ACT_SETTLED_H

#include "datatype/timestamp.h"
#include "executor/tuptable.h"

extern TimestampTz act_quarter_start(int32 quarter);

/*
 * The buckets of so many quarter hours that lie whole between two times, both
 * inclusive, and of which the log has all events: from *first, in quarter hours, until
 * before *last.  False if there are none.
 */
extern bool act_settled_within(int32 organization, TimestampTz earliest, TimestampTz latest,
							   int width, int32 *first, int32 *last);

/* Have events of the organization been published and folded all in their turn? */
extern bool act_settled_in_turn(int32 organization);

/*
 * Tells the organization's events that have no position yet, each as a row that is
 * good until the next, as the active snapshot shows them; false if they are too many.
 */
extern bool act_settled_lacks(int32 organization, void (*tell) (void *state, TupleTableSlot *row),
							  void *state);

#endif
