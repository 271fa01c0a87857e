/*
 * stream/batch.h
 *		A batch of events on their way into the stream.
 */
#ifndef ACT_BATCH_H
#define ACT_BATCH_H

#include "executor/tuptable.h"
#include "nodes/pg_list.h"
#include "utils/snapshot.h"

typedef struct ActBatch ActBatch;

/*
 * Begins a batch; the caller has the right to publish and has begun the heads
 * (head.h).  asides is what is set aside (event/aside.h).  A careful batch does each
 * item in a subtransaction and sets aside what fails by itself; one that is not
 * throws.
 */
extern ActBatch *act_batch_open(Snapshot snapshot, bool careful, List *asides);

/* Puts the event at the end of its organization's stream, or sets it aside. */
extern void act_batch_add(ActBatch *batch, TupleTableSlot *event);

/* Adds what was set aside and is due; only to a careful batch. */
extern void act_batch_try_again(ActBatch *batch);

/* Writes what waits, tells the subscribers, and returns how many events got a
 * position, in which segment. */
extern int	act_batch_close(ActBatch *batch, int32 *segment);

/* Is it time to try something again that publishing has set aside? */
extern bool act_batch_has_due(const List *asides);

#endif
