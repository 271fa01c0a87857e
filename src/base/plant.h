/*
 * base/plant.h
 *		Failures for tests: compiled with -DACT_PLANT_FAILURES only.
 *
 * Setting activity.plant_failure names a step and an organization; whenever that
 * step comes to something of that organization, it throws.  So a test shows for each
 * step that the others go on (test/failures).
 */
#ifndef ACT_PLANT_H
#define ACT_PLANT_H

#include "postgres.h"

#ifdef ACT_PLANT_FAILURES
extern void act_plant(const char *step, int32 organization);
extern void act_plant_init(void);
#else
#define act_plant(step, organization) ((void) 0)
#define act_plant_init() ((void) 0)
#endif

#endif
