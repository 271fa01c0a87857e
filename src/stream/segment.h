/*
 * stream/segment.h
 *		Which part of the stream the publisher appends to.
 */
#ifndef ACT_SEGMENT_H
#define ACT_SEGMENT_H

#include "stream/stream.h"

typedef struct ActSegmentTarget
{
	int32		number;
	int32		epoch;
	Oid			relid;
} ActSegmentTarget;

/*
 * The segment to append to; makes one when the month is over or history may
 * have forked.  Only for who has the right to publish.  Makes a table: a
 * stream that was open before does not know it.
 */
extern ActSegmentTarget act_segment_current(ActStreamReader *stream);

#endif
