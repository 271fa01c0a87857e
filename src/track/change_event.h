/*
 * track/change_event.h
 *		The event that a rule makes of a change.
 */
#ifndef ACT_CHANGE_EVENT_H
#define ACT_CHANGE_EVENT_H

#include "track/change.h"

/* Records it; old or new may be NULL. */
extern void act_change_event_record(const ActPlanRule *rule, const ActRow *old,
									const ActRow *new);

#endif
