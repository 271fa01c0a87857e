/*
 * event/id.c
 *		Event ids: UUIDv7 whose time is exact to the microsecond.
 *
 * Layout (RFC 9562, 5.7 with method 3 of 6.2): 48 bits of milliseconds since
 * 1970, version, 12 bits of the millisecond's fraction, variant, 62 random
 * bits.  The fraction is the microseconds scaled to 4096ths and rounded up, so
 * that rounding down recovers them, and so that ids sort as their times do:
 * every ordering by (time, id) in this extension is an ordering by id.
 */
#include "activity.h"

#include <sys/time.h>

#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "event/id.h"

#define EPOCH_OFFSET \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)
#define MILLISECONDS_END (INT64CONST(1) << 48)

/* Random bytes are drawn for this many ids at a time. */
#define RANDOM_IDS 64

PG_FUNCTION_INFO_V1(act_lowest_id);
PG_FUNCTION_INFO_V1(act_event_id);
PG_FUNCTION_INFO_V1(act_event_time);

static TimestampTz last_time = DT_NOBEGIN;

/* The bytes that the time decides; throws for a time that no UUIDv7 holds. */
static void
put_time(TimestampTz time, pg_uuid_t *id)
{
	int64		since_1970;
	int64		milliseconds;
	uint32		fraction;

	if (TIMESTAMP_NOT_FINITE(time) || time < -EPOCH_OFFSET ||
		time >= MILLISECONDS_END * 1000 - EPOCH_OFFSET)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("an event cannot have happened at %s",
						timestamptz_to_str(time)),
				 errhint("Event times go from 1970 to the year 10889.")));

	since_1970 = time + EPOCH_OFFSET;
	milliseconds = since_1970 / 1000;
	fraction = ((since_1970 % 1000) * 4096 + 999) / 1000;

	id->data[0] = (unsigned char) (milliseconds >> 40);
	id->data[1] = (unsigned char) (milliseconds >> 32);
	id->data[2] = (unsigned char) (milliseconds >> 24);
	id->data[3] = (unsigned char) (milliseconds >> 16);
	id->data[4] = (unsigned char) (milliseconds >> 8);
	id->data[5] = (unsigned char) milliseconds;
	id->data[6] = 0x70 | (unsigned char) (fraction >> 8);
	id->data[7] = (unsigned char) fraction;
}

/* Eight bytes from the server's strong source. */
uint64
act_event_id_random(void)
{
	static uint64 pool[RANDOM_IDS];
	static int	left = 0;

	if (left == 0)
	{
		if (!pg_strong_random(pool, sizeof(pool)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate random values")));
		left = RANDOM_IDS;
	}
	return pool[--left];
}

bool
act_event_id_parse(const char *text, pg_uuid_t *id)
{
	int			at = 0;

	for (int i = 0; i < UUID_LEN; i++)
	{
		int			byte = 0;

		if (i == 4 || i == 6 || i == 8 || i == 10)
			if (text[at++] != '-')
				return false;
		for (int half = 0; half < 2; half++)
		{
			char		c = text[at++];

			if (c >= '0' && c <= '9')
				byte = byte * 16 + c - '0';
			else if (c >= 'a' && c <= 'f')
				byte = byte * 16 + c - 'a' + 10;
			else
				return false;
		}
		id->data[i] = (unsigned char) byte;
	}
	return true;
}

void
act_event_id_make(TimestampTz time, pg_uuid_t *id)
{
	uint64		random = act_event_id_random();

	put_time(time, id);
	memcpy(&id->data[8], &random, sizeof(random));
	id->data[8] = (id->data[8] & 0x3f) | 0x80;
}

/*
 * The bounds ask for no version or variant in their random half: they are
 * compared, never stored, and bracket every id whose bytes begin like theirs.
 */
void
act_event_id_lowest(TimestampTz time, pg_uuid_t *id)
{
	put_time(time, id);
	memset(&id->data[8], 0x00, 8);
}

/* Up to the last id before the next microsecond's first. */
void
act_event_id_highest(TimestampTz time, pg_uuid_t *id)
{
	uint32		next;

	put_time(time, id);
	next = (((time + EPOCH_OFFSET) % 1000 + 1) * 4096 + 999) / 1000 - 1;
	next = Min(next, 4095);
	id->data[6] = 0x70 | (unsigned char) (next >> 8);
	id->data[7] = (unsigned char) next;
	memset(&id->data[8], 0xff, 8);
}

bool
act_event_id_time(const pg_uuid_t *id, TimestampTz *time)
{
	int64		milliseconds = 0;
	int64		fraction;

	if ((id->data[6] & 0xf0) != 0x70 || (id->data[8] & 0xc0) != 0x80)
		return false;
	for (int i = 0; i < 6; i++)
		milliseconds = (milliseconds << 8) | id->data[i];
	fraction = ((id->data[6] & 0x0f) << 8) | id->data[7];
	*time = milliseconds * 1000 + fraction * 1000 / 4096 - EPOCH_OFFSET;
	return true;
}

/*
 * The clock, not the transaction's start: several events of one transaction
 * are read in the order in which they happened.
 */
TimestampTz
act_event_id_clock(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (now <= last_time)
	{
		/* A clock that was set back by much is followed, not waited for. */
		if (last_time - now < USECS_PER_MINUTE)
			now = last_time + 1;
	}
	last_time = now;
	return now;
}

/* activity.event_id(timestamptz) */
PGDLLEXPORT Datum
act_event_id(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

	act_event_id_make(PG_GETARG_TIMESTAMPTZ(0), id);
	PG_RETURN_UUID_P(id);
}

/* activity.event_time(uuid) */
PGDLLEXPORT Datum
act_event_time(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *id = PG_GETARG_UUID_P(0);
	TimestampTz time;

	if (!act_event_id_time(id, &time))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is no event id",
						DatumGetCString(DirectFunctionCall1(uuid_out,
															PG_GETARG_DATUM(0)))),
				 errhint("Event ids are UUIDs of version 7.")));
	PG_RETURN_TIMESTAMPTZ(time);
}

/* lowest_id(time timestamptz) RETURNS uuid: no id of that time or later is less */
PGDLLEXPORT Datum
act_lowest_id(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

	act_event_id_lowest(PG_GETARG_TIMESTAMPTZ(0), id);
	PG_RETURN_UUID_P(id);
}
