/*
 * webhook/clock.c
 *		The time of everything that waits.
 */
#include "activity.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "webhook/webhook.h"

PG_FUNCTION_INFO_V1(act_webhook_now);

TimestampTz
act_webhook_clock(void)
{
	return GetCurrentTimestamp() +
		act_setting_clock_offset * USECS_PER_SEC;
}

TimestampTz
act_webhook_later(TimestampTz time, const Interval *by)
{
	return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
												   TimestampTzGetDatum(time),
												   IntervalPGetDatum(by)));
}

/* _activity.webhook_now() */
PGDLLEXPORT Datum
act_webhook_now(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(act_webhook_clock());
}
