/*
 * numbers/total.h
 *		How many events a filter takes, and where the n-th of them is: by the rollups.
 */
#ifndef ACT_TOTAL_H
#define ACT_TOTAL_H

#include "feed/filter.h"

typedef struct ActTotal ActTotal;

/*
 * For a filter of types and time alone that takes many events; with the active
 * snapshot.  NULL where counting is as quick, or the rollups do not know: then the
 * feed tells.
 */
extern ActTotal *act_total_make(const ActFeedFilter *filter);

/* The same as act_feed_scan_count(). */
extern int64 act_total_count(const ActTotal *total);

/*
 * Narrows the filter to what is older than a time, as near to the event after the
 * newest skip ones as is known; tells how many newer ones there are.
 */
extern int64 act_total_jump(const ActTotal *total, ActFeedFilter *filter, int64 skip);

#endif
