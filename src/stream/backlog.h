/*
 * stream/backlog.h
 *		What is committed and not published yet.
 */
#ifndef ACT_BACKLOG_H
#define ACT_BACKLOG_H

#include "executor/tuptable.h"

#include "stream/progress.h"

typedef struct ActUnpublished
{
	pg_uuid_t	id;
	uint64		xid;
	int32		organization;	/* key */
	uint16		partition;
	ItemPointerData tid;
} ActUnpublished;

typedef struct ActBacklog ActBacklog;

/* Opens the events as the snapshot shows them. */
extern ActBacklog *act_backlog_open(Snapshot snapshot);
extern void act_backlog_close(ActBacklog *backlog);

/*
 * Finds what is over in until and not covered by progress: whole transactions
 * in the order of their ids, about as many events as limit, but one transaction
 * at least.  *events is palloc'd, in no order.  *last is the id of the last
 * transaction looked at, 0 if there was none; *complete says that there is
 * nothing after it; *dead is the number of entries that rolled back.
 */
extern int	act_backlog_find(ActBacklog *backlog, const ActProgress *progress,
							 const ActShot *until, int limit,
							 ActUnpublished **events, uint64 *last,
							 bool *complete, int *dead);

/* The event's row, in a slot that is good until the next call. */
extern TupleTableSlot *act_backlog_fetch(ActBacklog *backlog,
										 const ActUnpublished *event);

#endif
