/*
 * stream/reading.h
 *		One call's reading of an organization's stream, all of it with one snapshot.
 */
#ifndef ACT_READING_H
#define ACT_READING_H

#include "fmgr.h"

#include "event/lookup.h"
#include "feed/filter.h"
#include "stream/stream.h"

typedef struct ActReading
{
	int32		organization;
	ActStreamReader *stream;
	ActLookup  *lookup;
} ActReading;

/*
 * Where no worker does it, a reader who may publish does, as long as there is
 * something, the transaction may write, and it ends with this statement.
 */
extern void act_reading_publish(FunctionCallInfo fcinfo);

/*
 * With a snapshot of now, also in REPEATABLE READ, which is the active one until the
 * end.  What is open is closed by the end, or by an error.  The organization may be
 * exchanged in between.
 */
extern void act_reading_begin(ActReading *reading, int32 organization);
extern void act_reading_end(ActReading *reading);

/* The oldest position whose event is there; head + 1, if none is. */
extern int64 act_reading_oldest(ActReading *reading, int64 head);

/*
 * The position after which to read, for a cursor or NULL (the oldest kept); throws
 * ERRCODE_ACT_CURSOR_* where something was missed, ERRCODE_ACT_BAD_CURSOR.
 */
extern int64 act_reading_start(ActReading *reading, const char *cursor);

/* Does the filter take an event of this type? */
extern bool act_reading_takes(const ActFeedFilter *filter, int32 type);

#endif
