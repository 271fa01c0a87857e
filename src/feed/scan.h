/*
 * feed/scan.h
 *		The events that a filter takes, in order, over all partitions.
 */
#ifndef ACT_FEED_SCAN_H
#define ACT_FEED_SCAN_H

#include "executor/tuptable.h"

#include "feed/filter.h"

typedef struct ActFeedScan ActFeedScan;

/*
 * Reads with the active snapshot; expected is about how many events will be
 * asked for.  The parent, and the partition being read, stay locked
 * (AccessShareLock) until the scan ends.
 */
extern ActFeedScan *act_feed_scan_begin(const ActFeedFilter *filter,
										ScanDirection direction, int expected);
extern void act_feed_scan_end(ActFeedScan *scan);

/* The next event's row, good until the next call; NULL at the end. */
extern TupleTableSlot *act_feed_scan_next(ActFeedScan *scan);

/*
 * Ends the scan early: when this many events have been read, next returns NULL
 * though there may be more; stopped tells, and position where to go on: the id
 * of the last event that was read.
 */
extern void act_feed_scan_limit(ActFeedScan *scan, int64 events);
extern bool act_feed_scan_stopped(ActFeedScan *scan, pg_uuid_t *position);

/* Whether types and times alone are asked for, which indexes tell. */
extern bool act_feed_filter_is_indexed(const ActFeedFilter *filter);

/* Goes past the next events of such a filter without reading them. */
extern void act_feed_scan_skip(ActFeedScan *scan, int64 events);

/* How many there are, all of them, by the indexes where that is exact. */
extern int64 act_feed_scan_count(const ActFeedFilter *filter);

#endif
