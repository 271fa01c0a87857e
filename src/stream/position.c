/*
 * stream/position.c
 *		Where in the stream an event stands, by its id.
 *
 * No index leads there: it would cost every event that is published, for a question
 * that few people ask.  Positions follow the times at which events were recorded,
 * and an id has its event's time; so a search by halves comes near, and a look
 * around is enough.  Imported events, whose ids are of the past, can mislead it.
 * Then the stream is read from its beginning.
 */
#include "activity.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "event/id.h"
#include "event/organization.h"
#include "stream/stream.h"

PG_FUNCTION_INFO_V1(act_event_position);

/* Rows that are looked at on either side of where the time is. */
#define AROUND 1000

static bool find(ActStreamReader *stream, int32 organization, const pg_uuid_t *id,
				 TimestampTz recorded_at, ActStreamRow *row);
static bool look(ActStreamReader *stream, int32 organization, int64 after,
				 int64 last, const pg_uuid_t *id, ActStreamRow *row);

/* event_position(organization, id, recorded_at): no row if it has none (yet). */
PGDLLEXPORT Datum
act_event_position(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	text	   *organization = PG_GETARG_TEXT_PP(0);
	int32		key = act_organization_find(VARDATA_ANY(organization),
											VARSIZE_ANY_EXHDR(organization));
	ActStreamReader *stream;
	ActStreamRow row;

	InitMaterializedSRF(fcinfo, 0);
	if (key == 0)
		return (Datum) 0;
	stream = act_stream_open(GetActiveSnapshot());
	if (find(stream, key, PG_GETARG_UUID_P(1), PG_GETARG_TIMESTAMPTZ(2), &row))
	{
		const ActSegment *segment = act_stream_segment(stream, row.segment);
		bytea	   *hash = palloc(VARHDRSZ + sizeof(row.hash));
		Datum		values[3];
		bool		nulls[3] = {0};

		SET_VARSIZE(hash, VARHDRSZ + sizeof(row.hash));
		memcpy(VARDATA(hash), row.hash, sizeof(row.hash));
		values[0] = Int64GetDatum(row.position);
		values[1] = CStringGetTextDatum(act_stream_cursor(segment->epoch, row.position));
		values[2] = PointerGetDatum(hash);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	act_stream_close(stream);
	return (Datum) 0;
}

static bool
find(ActStreamReader *stream, int32 organization, const pg_uuid_t *id,
	 TimestampTz recorded_at, ActStreamRow *row)
{
	ActStreamRow at;
	int64		low = 0;
	int64		high;
	TimestampTz time;

	if (!act_stream_newest(stream, organization, &at))
		return false;
	high = at.position;
	/* The last position whose time is before that of the recording. */
	while (low < high)
	{
		int64		middle = low + (high - low + 1) / 2;

		CHECK_FOR_INTERRUPTS();
		if (act_stream_at(stream, organization, middle, &at) &&
			act_event_id_time(&at.id, &time) && time >= recorded_at)
			high = middle - 1;
		else
			low = middle;
	}
	return look(stream, organization, Max(low - AROUND, 0), low + AROUND, id, row) ||
		look(stream, organization, 0, PG_INT64_MAX, id, row);
}

static bool
look(ActStreamReader *stream, int32 organization, int64 after, int64 last,
	 const pg_uuid_t *id, ActStreamRow *row)
{
	act_stream_seek(stream, organization, after);
	while (act_stream_next(stream, row) && row->position <= last)
	{
		CHECK_FOR_INTERRUPTS();
		if (memcmp(row->id.data, id->data, UUID_LEN) == 0)
			return true;
	}
	return false;
}
