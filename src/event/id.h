/*
 * event/id.h
 *		Event ids: UUIDv7 whose time is exact to the microsecond.
 */
#ifndef ACT_EVENT_ID_H
#define ACT_EVENT_ID_H

#include "datatype/timestamp.h"
#include "utils/uuid.h"

/* Times that ids can hold, the first and the last: 1970 to 10889. */
#define ACT_EVENT_ID_FIRST \
	((int64) (UNIX_EPOCH_JDATE - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY)
#define ACT_EVENT_ID_LAST \
	(ACT_EVENT_ID_FIRST + (INT64CONST(1) << 48) * 1000 - 1)

/* A new id for this time. */
extern void act_event_id_make(TimestampTz time, pg_uuid_t *id);

/* The smallest and largest id of a time: bounds for scans by time. */
extern void act_event_id_lowest(TimestampTz time, pg_uuid_t *id);
extern void act_event_id_highest(TimestampTz time, pg_uuid_t *id);

/* The time in an id; false unless it is a UUIDv7. */
extern bool act_event_id_time(const pg_uuid_t *id, TimestampTz *time);

/* 64 random bits from the server's strong source. */
extern uint64 act_event_id_random(void);

/* The 36 characters of a UUID; false for anything else. */
extern bool act_event_id_parse(const char *text, pg_uuid_t *id);

/* The current time, later than every earlier answer in this backend. */
extern TimestampTz act_event_id_clock(void);

#endif
