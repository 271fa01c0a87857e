/*
 * upkeep/step.h
 *		A part of the upkeep that may fail by itself.
 */
#ifndef ACT_STEP_H
#define ACT_STEP_H

#include "postgres.h"

#include "event/owner.h"
#include "nodes/pg_list.h"

/* Its name among the steps of activity.set_aside. */
#define ACT_STEP_MAINTAIN "maintain"

/*
 * Runs a part of the upkeep in a subtransaction.  If it fails by itself, that is
 * reported and set aside, and the caller goes on; the next upkeep tries again.
 * asides: what is set aside of ACT_STEP_MAINTAIN.
 */
extern void act_step_do(const char *name, void (*run) (void *), void *argument,
						const List *asides, ActUpkeepReport report, void *state);

#endif
