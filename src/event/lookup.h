/*
 * event/lookup.h
 *		Finding events by their ids.
 */
#ifndef ACT_LOOKUP_H
#define ACT_LOOKUP_H

#include "executor/tuptable.h"
#include "utils/snapshot.h"
#include "utils/uuid.h"

typedef struct ActLookup ActLookup;

/* Partitions are opened as they are met, and stay open until close. */
extern ActLookup *act_lookup_open(Snapshot snapshot);
extern void act_lookup_close(ActLookup *lookup);

/* The event's row, in a slot that is good until the next call; or NULL. */
extern TupleTableSlot *act_lookup_event(ActLookup *lookup, int32 organization,
										const pg_uuid_t *id);

/*
 * All events of an organization in the order of partitions and, within these,
 * of ids: calls visit with the next rows, with so many at most.  False when there
 * are no more; the call after that begins anew.
 */
typedef void (*ActVisit) (TupleTableSlot *row, void *argument);
extern bool act_lookup_walk(ActLookup *lookup, int32 organization, int most,
							ActVisit visit, void *argument);

#endif
