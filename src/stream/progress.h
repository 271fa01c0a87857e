/*
 * stream/progress.h
 *		How far publishing has come: what decides whether an event is published.
 */
#ifndef ACT_PROGRESS_H
#define ACT_PROGRESS_H

#include "utils/snapshot.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

/*
 * A snapshot to be kept: which transactions were over.  Ids are those of
 * event.xid (incarnation.h); running ones ascend, all in [xmin, xmax).
 */
typedef struct ActShot
{
	uint64		xmin;			/* everything before was over */
	uint64		xmax;			/* nothing from here on was */
	uint32		nrunning;
	uint64	   *running;
} ActShot;

/*
 * Published is what settled shows, and of what target shows besides, that which
 * is not after the mark in the order (xid, id).
 */
typedef struct ActProgress
{
	int64		number;			/* of the row, 0: nothing was ever published */
	TimestampTz published_at;
	int32		segment;
	int32		events;
	ActShot    *settled;
	ActShot    *target;			/* NULL: nothing is half done */
	uint64		mark_xid;		/* with a target only; 0: nothing of it yet */
	bool		within;			/* mark_xid is done up to mark_id only */
	pg_uuid_t	mark_id;
} ActProgress;

/*
 * The snapshot as it is to be kept.  The present transaction counts as
 * running: it may yet record.
 */
extern ActShot *act_progress_shot(Snapshot snapshot);

/* Was the transaction over? */
extern bool act_progress_is_over(const ActShot *shot, uint64 xid);

/* The newest row that the snapshot shows; palloc'd parts. */
extern void act_progress_read(Snapshot snapshot, ActProgress *progress);

/* Adds a row with the next number; deletes old ones now and then. */
extern void act_progress_write(ActProgress *progress);

/* Have all events of the transaction, which is over, been published? */
extern bool act_progress_has_passed(const ActProgress *progress, uint64 xid);

/* Has the event, which is committed, been published? */
extern bool act_progress_covers(const ActProgress *progress, uint64 xid,
								const pg_uuid_t *id);

#endif
