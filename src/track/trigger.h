/*
 * track/trigger.h
 *		The triggers of ours on a table.
 */
#ifndef ACT_TRACKING_TRIGGER_H
#define ACT_TRACKING_TRIGGER_H

#include "access/htup.h"
#include "utils/rel.h"
#include "utils/reltrigger.h"

/*
 * Makes the row trigger of a category, or gives the one that is there another
 * argument, and makes the statement triggers that all categories share.  The
 * caller holds a lock that keeps writers out; no stronger one is taken, since
 * readers who are about to write would deadlock with that.
 */
extern void act_tracking_trigger_make(Relation table, const char *category,
									  char *argument);

/* They fire, and if asked for in replication, too; the caller has closed the
 * table. */
extern void act_tracking_trigger_enable(Oid relid, const char *category,
										bool replica);

/* The argument of a row trigger, read and written in the catalog. */
extern char *act_tracking_trigger_argument(Relation pg_trigger,
										   HeapTuple tuple);
extern void act_tracking_trigger_rewrite(Relation pg_trigger, HeapTuple tuple,
										 const char *argument);

/* Drops every trigger of ours. */
extern void act_tracking_trigger_drop(Relation table);

/* The partitions of a tracked table see their own TRUNCATE, too. */
extern void act_tracking_trigger_watch_truncate(Relation table);

/* Whether a trigger fires in this session, by its ENABLE and the session's
 * replication role. */
extern bool act_tracking_trigger_fires(const Trigger *trigger);

/* Whether the table has a trigger that runs _activity.<function>. */
extern bool act_tracking_trigger_has(Relation table, const char *function,
									 bool firing);

#endif
