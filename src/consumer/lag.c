/*
 * consumer/lag.c
 *		How far each consumer is behind, and the marks at the ends of streams.
 */
#include "activity.h"

#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "consumer/statement.h"
#include "event/id.h"
#include "stream/reading.h"

PG_FUNCTION_INFO_V1(act_consumer_lags);
PG_FUNCTION_INFO_V1(act_stream_ends);
PG_FUNCTION_INFO_V1(act_parse_cursor);
PG_FUNCTION_INFO_V1(act_check_cursor);

extern PGDLLEXPORT Datum act_consumer_lags(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum act_stream_ends(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum act_parse_cursor(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum act_check_cursor(PG_FUNCTION_ARGS);

static int32 epoch_at(ActReading *reading, int64 position);

/*
 * _activity.consumer_lags(): a row for each consumer and organization in which it is
 * behind: consumer, organization, events, and the time of the next one.
 */
Datum
act_consumer_lags(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ActReading	reading;
	int			found;

	InitMaterializedSRF(fcinfo, 0);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	act_reading_begin(&reading, 0);
	found = act_consumer_run(ACT_CONSUMER_MARKS, NULL);
	for (int i = 0; i < found; i++)
	{
		Datum		values[4];
		bool		nulls[4] = {0};
		int64		position;
		ActStreamRow newest;
		ActStreamRow next;
		TimestampTz time = 0;

		CHECK_FOR_INTERRUPTS();
		values[0] = act_consumer_value(i, 1, &nulls[0]);
		values[1] = act_consumer_value(i, 2, &nulls[1]);
		position = DatumGetInt64(act_consumer_value(i, 3, &nulls[2]));
		reading.organization = DatumGetInt32(values[1]);
		if (!act_stream_newest(reading.stream, reading.organization, &newest) ||
			newest.position <= position)
			continue;
		values[2] = Int64GetDatum(newest.position - position);
		act_stream_seek(reading.stream, reading.organization, position);
		nulls[3] = !act_stream_next(reading.stream, &next) ||
			!act_event_id_time(&next.id, &time);
		values[3] = TimestampTzGetDatum(time);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	act_reading_end(&reading);
	SPI_finish();
	return (Datum) 0;
}

/*
 * _activity.stream_ends(organization): the marks before the oldest event kept, and at
 * the newest one.
 */
Datum
act_stream_ends(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		values[4];
	bool		nulls[4] = {0};
	ActReading	reading;
	ActStreamRow newest = {0};
	int64		before;

	InitMaterializedSRF(fcinfo, 0);
	act_reading_begin(&reading, PG_GETARG_INT32(0));
	(void) act_stream_newest(reading.stream, reading.organization, &newest);
	before = act_reading_oldest(&reading, newest.position) - 1;
	values[0] = Int32GetDatum(epoch_at(&reading, before));
	values[1] = Int64GetDatum(before);
	values[2] = Int32GetDatum(epoch_at(&reading, newest.position));
	values[3] = Int64GetDatum(newest.position);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	act_reading_end(&reading);
	return (Datum) 0;
}

static int32
epoch_at(ActReading *reading, int64 position)
{
	ActStreamRow at;

	if (position > 0 &&
		act_stream_at(reading->stream, reading->organization, position, &at))
		return act_stream_segment(reading->stream, at.segment)->epoch;
	return 0;
}

/* _activity.parse_cursor(cursor): epoch and position; throws AC013. */
Datum
act_parse_cursor(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		values[2];
	bool		nulls[2] = {0};
	int32		epoch;
	int64		position;

	InitMaterializedSRF(fcinfo, 0);
	act_stream_parse_cursor(text_to_cstring(PG_GETARG_TEXT_PP(0)), &epoch, &position);
	values[0] = Int32GetDatum(epoch);
	values[1] = Int64GetDatum(position);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	return (Datum) 0;
}

/* _activity.check_cursor(organization, cursor): throws as replay() does. */
Datum
act_check_cursor(PG_FUNCTION_ARGS)
{
	ActReading	reading;

	act_reading_begin(&reading, PG_GETARG_INT32(0));
	(void) act_reading_start(&reading, text_to_cstring(PG_GETARG_TEXT_PP(1)));
	act_reading_end(&reading);
	PG_RETURN_VOID();
}
