/*
 * feed/tally.h
 *		Events counted by family, event type, actor and on behalf of whom.
 */
#ifndef ACT_FEED_TALLY_H
#define ACT_FEED_TALLY_H

#include "datatype/timestamp.h"
#include "executor/tuptable.h"
#include "nodes/execnodes.h"

typedef struct ActTally ActTally;

/* Somebody is a kind and an id; without an id, a name, or else the system. */
typedef struct ActTallied
{
	bool		is_type;		/* else somebody */
	int32		type;
	bool		on_behalf;		/* somebody was acted for; else he is an actor */
	text	   *kind;			/* NULL: none */
	text	   *id;				/* NULL: none */
	text	   *name;			/* as it was last, or NULL */
	int64		events;
	TimestampTz latest;
} ActTallied;

/* Lives in the current memory context. */
extern ActTally *act_tally_make(void);

/* Counts a row of the event table: its type, its actor, and whom he acted for. */
extern void act_tally_event(ActTally *tally, TupleTableSlot *row);

/* Adds what was counted before. */
extern void act_tally_add(ActTally *tally, const ActTallied *counted);

/* All that was counted but the families, in no order; palloc'd, *count of them. */
extern ActTallied *act_tally_list(ActTally *tally, int *count);

/* The rows of activity.summary(): each dimension's, the most frequent first. */
extern void act_tally_put(ActTally *tally, ReturnSetInfo *result);

#endif
