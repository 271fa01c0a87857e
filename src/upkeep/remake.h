/*
 * upkeep/remake.h
 *		Indexes that were lost are made again.
 */
#ifndef ACT_REMAKE_H
#define ACT_REMAKE_H

#include "event/owner.h"

/*
 * Makes each index of _activity.missing_index, within upkeep; one that can't be
 * made is reported and left out.  Writing to its table waits meanwhile.
 */
extern void act_remake_indexes(ActUpkeepReport report, void *state);

#endif
