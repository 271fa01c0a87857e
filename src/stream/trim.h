/*
 * stream/trim.h
 *		Retention's part of the stream.
 */
#ifndef ACT_STREAM_TRIM_H
#define ACT_STREAM_TRIM_H

#include "event/owner.h"

/*
 * After retention has removed events, within upkeep.h's begin and end: notes
 * what is gone by right, moves the beginnings of the streams, and drops the
 * segments of which nothing is left.
 */
extern void act_stream_trim(ActUpkeepReport report, void *state);

#endif
