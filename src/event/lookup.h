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
 * of ids: calls visit with each row.
 */
typedef void (*ActVisit) (TupleTableSlot *row, void *argument);
extern void act_lookup_all(ActLookup *lookup, int32 organization,
						   ActVisit visit, void *argument);

#endif
