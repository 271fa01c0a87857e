/*
 * event/aside.h
 *		What failed and was set aside, so that it is in nobody's way.
 */
#ifndef ACT_ASIDE_H
#define ACT_ASIDE_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "storage/itemptr.h"

#include "base/columns.h"

/* One thing that is set aside. */
typedef struct ActAside
{
	const char *step;			/* what failed: publish, webhooks, claim, ... */
	int32		organization;	/* key; 0: it is nobody's */
	const char *item;			/* of the step; empty: the whole organization */
	int64		position;		/* of the stream, up to which the step was done */
	TimestampTz since;
	int			attempts;
	TimestampTz next_attempt;
	ItemPointerData tid;		/* invalid: not in the table yet */
} ActAside;

/* What a step failed with. */
typedef struct ActFailure
{
	int			sqlstate;
	char	   *message;
} ActFailure;

/*
 * Runs a step in a subtransaction.  False if it failed by itself: it is undone, and
 * *failure says why, palloc'd.  What is not the item's fault (a cancel, a shutdown,
 * a lock, a disk that is full) is thrown, because it would strike the next one, too.
 */
extern bool act_aside_try(void (*step) (void *), void *argument,
						  ActFailure *failure);

/*
 * What is set aside of a step, NULL: of all of them; a List of palloc'd ActAside.
 * Costs a look at the size of the table where nothing is.
 */
extern List *act_aside_list(const char *step);

/* The one of these; NULL: it is not set aside. */
extern ActAside *act_aside_find(const List *asides, int32 organization,
								const char *item);

/* Sets it aside, or aside again, until its next attempt, later each time. */
extern void act_aside_put(ActAside *aside, const ActFailure *failure);

/* The same, with another position, after a success of a part. */
extern void act_aside_move(ActAside *aside, int64 position);

/* The list with this one, of which a copy is made in the context unless it is there. */
extern List *act_aside_keep(List *asides, const ActAside *aside,
							MemoryContext context);

/* It succeeded, or has gone. */
extern void act_aside_clear(ActAside *aside);

#endif
