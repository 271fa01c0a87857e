/*
 * upkeep/maintain.h
 *		The upkeep that is due from time to time.
 */
#ifndef ACT_MAINTAIN_H
#define ACT_MAINTAIN_H

#include "datatype/timestamp.h"

#include "event/owner.h"

/*
 * Does what is due of partitions and retention, at most about max_rows rows of
 * it, in the current transaction; since, unless DT_NOEND, makes the months from
 * there on, too.  Returns at once when another transaction is at it.
 */
extern void act_maintain(TimestampTz since, int64 max_rows,
						 ActUpkeepReport report, void *state);

#endif
