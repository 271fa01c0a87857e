/*
 * feed/walk.h
 *		An ordered walk over one index of one partition, without the heap.
 */
#ifndef ACT_FEED_WALK_H
#define ACT_FEED_WALK_H

#include "access/genam.h"
#include "storage/itemptr.h"
#include "utils/uuid.h"

/* Where an event is: its id, and its row in the partition. */
typedef struct ActPosting
{
	pg_uuid_t	id;
	ItemPointerData tid;
} ActPosting;

typedef struct ActWalk ActWalk;

/*
 * Opens a walk over the postings of one organization in a btree index on
 * (organization, id) or (organization, some int4, id).  It holds the index
 * open (AccessShareLock) until closed.
 */
extern ActWalk *act_walk_open(Relation heap, Oid index, Snapshot snapshot,
							  ScanDirection direction, int32 organization);
extern void act_walk_close(ActWalk *walk);

/*
 * Starts at the first posting of this value at or beyond from, in the walk's
 * direction, and ends with last.  The value is that of the middle column; an
 * index without one has only the value 0.  Costs a descent of the tree.
 */
extern void act_walk_seek(ActWalk *walk, int32 value, const pg_uuid_t *from,
						  const pg_uuid_t *last);

/*
 * Starts at the same place, and goes on into all values that follow, up to
 * until.  Of these the walk shows every posting, whatever its id.
 */
extern void act_walk_seek_across(ActWalk *walk, int32 value,
								 const pg_uuid_t *from, int32 until);

/*
 * The next posting and its value; false at the end.  The walk stays on the
 * posting's index page, pinned, until the next step.
 */
extern bool act_walk_step(ActWalk *walk, int32 *value, ActPosting *posting);

#endif
