/*
 * maintain.h
 *		The upkeep that is due from time to time.
 */
#ifndef ACT_MAINTAIN_H
#define ACT_MAINTAIN_H

#include "datatype/timestamp.h"

/*
 * SQL for the time before which events are gone by right, once maintain() has
 * come to the end; keep is SQL for how long they are kept.  In UTC, as months
 * are (upkeep.c).
 */
#define ACT_MAINTAIN_KEPT_SINCE(keep) "date_trunc('month', now() - " keep ")"

/* What was done, one call each; rows is -1 where none are meant. */
typedef void (*ActMaintainReport) (void *state, const char *action,
								   const char *object, int64 rows);

/*
 * Does what is due of partitions and retention, at most about max_rows rows of
 * it, in the current transaction; since, unless DT_NOEND, makes the months from
 * there on, too.  Returns at once when another transaction is at it.
 */
extern void act_maintain(TimestampTz since, int64 max_rows,
						 ActMaintainReport report, void *state);

#endif
