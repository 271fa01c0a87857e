/*
 * feed_walk.h
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

/* A place in an index: the middle column (0 where there is none) and an id. */
typedef struct ActPlace
{
	int32		value;
	pg_uuid_t	id;
} ActPlace;

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
 * The next step will be the first posting at or beyond from, in the walk's
 * direction; the walk ends after the last place.  Costs a descent of the tree.
 */
extern void act_walk_seek(ActWalk *walk, const ActPlace *from,
						  const ActPlace *last);

/*
 * The next posting and its middle column; false at the end.  The walk stays on
 * the posting's index page, pinned, until the next step.
 */
extern bool act_walk_step(ActWalk *walk, int32 *value, ActPosting *posting);

#endif
