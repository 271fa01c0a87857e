/*
 * stream/replay.c
 *		Reading the stream: replay(), stream_head(), and what a cursor means.
 *
 * A cursor is <epoch>.<position>: the event at that position, as it was
 * published in that epoch, has been handled.  Where that is not what the stream
 * has, the reader must be told, because it missed something or has seen what
 * never happened here.
 */
#include "activity.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "feed/entry.h"
#include "event/event.h"
#include "feed/filter.h"
#include "event/lookup.h"
#include "track/member.h"
#include "event/organization.h"
#include "stream/publisher.h"
#include "stream/reading.h"
#include "stream/right.h"
#include "stream/stream.h"
#include "track/tier.h"
#include "wake/wake.h"

PG_FUNCTION_INFO_V1(act_replay);
PG_FUNCTION_INFO_V1(act_stream_head);

/* Arguments of replay(). */
#define ORGANIZATION	0
#define CURSOR			1
#define EVENT_TYPES		2
#define MAX_EVENTS		3
#define VIEWER			4

#define MAX_EVENTS_MOST 10000

/* Positions that a filtered call looks at before it hands the cursor back. */
#define LOOK_MOST 20000

/* position and cursor come before the columns of activity.entry. */
#define COLUMNS (2 + ACT_ENTRY_COLUMNS)

static int32 admit(FunctionCallInfo fcinfo, int viewer_arg);
static void check_cursor(ActReading *reading, const char *cursor, int32 epoch,
						 int64 position);
static void check_ahead(ActReading *reading, const char *cursor, int32 epoch,
						int64 head);
static bool is_next_there(ActReading *reading, int64 position);
static void refuse_forked(const char *cursor);
static void refuse_expired(const char *cursor, int64 earliest);
static bool is_known(ActStreamReader *stream, int32 epoch);
static void send(ActReading *reading, ReturnSetInfo *result,
				 const ActStreamRow *at, TupleTableSlot *event);

PGDLLEXPORT Datum
act_replay(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ActFeedFilter *filter;
	ActReading	reading;
	ActStreamRow at;
	int64		looked = 0;
	int			sent = 0;
	int			most;
	bool		behind = false;
	MemoryContext scratch;

	InitMaterializedSRF(fcinfo, 0);
	filter = act_feed_filter_all(admit(fcinfo, VIEWER));
	most = PG_ARGISNULL(MAX_EVENTS) ? 500 : PG_GETARG_INT32(MAX_EVENTS);
	if (most < 1 || most > MAX_EVENTS_MOST)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_events must be between 1 and %d", MAX_EVENTS_MOST)));
	if (!PG_ARGISNULL(EVENT_TYPES))
		act_feed_filter_types(filter, PG_GETARG_ARRAYTYPE_P(EVENT_TYPES));
	act_reading_publish(fcinfo);

	act_reading_begin(&reading, filter->organization);
	act_stream_seek(reading.stream, reading.organization,
					act_reading_start(&reading, PG_ARGISNULL(CURSOR) ? NULL :
							 text_to_cstring(PG_GETARG_TEXT_PP(CURSOR))));
	scratch = AllocSetContextCreate(CurrentMemoryContext, "activity replay",
									ALLOCSET_DEFAULT_SIZES);
	while (sent < most && looked++ < LOOK_MOST &&
		   act_stream_next(reading.stream, &at))
	{
		TupleTableSlot *event = act_lookup_event(reading.lookup,
												 at.organization, &at.id);
		MemoryContext old = MemoryContextSwitchTo(scratch);
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		behind = true;
		/* What retention has dropped out of the middle is an old import. */
		if (event != NULL && !filter->impossible &&
			act_reading_takes(filter, DatumGetInt32(slot_getattr(event, ACT_EVENT_TYPE,
													 &isnull))))
		{
			send(&reading, result, &at, event);
			sent++;
			behind = false;
		}
		MemoryContextSwitchTo(old);
		MemoryContextReset(scratch);
	}
	/* What was looked at and not sent need not be looked at again. */
	if (behind)
		send(&reading, result, &at, NULL);
	act_reading_end(&reading);
	return (Datum) 0;
}

/* activity.stream_head(organization) */
PGDLLEXPORT Datum
act_stream_head(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		values[3];
	bool		nulls[3] = {0};
	ActReading	reading;
	ActStreamRow newest;
	int			count;
	const ActSegment *segments;
	int32		epoch;

	InitMaterializedSRF(fcinfo, 0);
	reading.organization = admit(fcinfo, -1);
	act_reading_publish(fcinfo);
	act_reading_begin(&reading, reading.organization);
	segments = act_stream_segments(reading.stream, &count);
	if (act_stream_newest(reading.stream, reading.organization, &newest))
		epoch = act_stream_segment(reading.stream, newest.segment)->epoch;
	else
	{
		newest.position = 0;
		epoch = count > 0 ? segments[count - 1].epoch : 0;
	}
	values[0] = CStringGetTextDatum(act_stream_cursor(epoch, newest.position));
	values[1] = Int64GetDatum(newest.position);
	values[2] = Int64GetDatum(act_reading_oldest(&reading, newest.position));
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	act_reading_end(&reading);
	return (Datum) 0;
}

/* The organization's key; throws unless its stream may be read. */
static int32
admit(FunctionCallInfo fcinfo, int viewer_arg)
{
	char	   *organization;
	int32		key;

	if (PG_ARGISNULL(ORGANIZATION))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("organization must not be null")));
	organization = text_to_cstring(PG_GETARG_TEXT_PP(ORGANIZATION));
	key = act_organization_find(organization, strlen(organization));
	act_tier_require("stream", key, organization);
	if (viewer_arg >= 0 && !PG_ARGISNULL(viewer_arg))
		act_member_require(organization,
						   text_to_cstring(PG_GETARG_TEXT_PP(viewer_arg)));
	return key;
}

/*
 * Where no worker does it, a reader who may publish does, as long as there is
 * something, the transaction may write, and it ends with this statement.
 */
void
act_reading_publish(FunctionCallInfo fcinfo)
{
	bool		more = true;

	if (act_worker_is_publishing() || !act_right_is_given(fcinfo))
		return;
	/* One batch of what is new behind one that was half done. */
	for (int i = 0; i < 2 && more; i++)
		(void) act_publisher_run_by_hand(&more);
}

/*
 * With a snapshot of now, also in REPEATABLE READ: an older one would show
 * the positions that this transaction gave, but not their events.
 */
void
act_reading_begin(ActReading *reading, int32 organization)
{
	PushActiveSnapshot(GetLatestSnapshot());
	act_right_hide_own(GetActiveSnapshot());
	reading->organization = organization;
	reading->stream = act_stream_open(GetActiveSnapshot());
	reading->lookup = act_lookup_open(GetActiveSnapshot());
}

void
act_reading_end(ActReading *reading)
{
	act_lookup_close(reading->lookup);
	act_stream_close(reading->stream);
	PopActiveSnapshot();
}

/*
 * The oldest position whose event is there; after the head, if none is.  The
 * stream is dropped by whole segments and events by months, so at its start
 * there can be some that have gone before their segment.
 */
int64
act_reading_oldest(ActReading *reading, int64 head)
{
	ActStreamRow at;
	int64		after = 0;

	if (act_stream_anchored(reading->stream, reading->organization, &at))
		after = at.position;
	act_stream_seek(reading->stream, reading->organization, after);
	while (act_stream_next(reading->stream, &at))
	{
		CHECK_FOR_INTERRUPTS();
		if (act_lookup_event(reading->lookup, at.organization, &at.id) != NULL)
			return at.position;
	}
	return head + 1;
}

/* The position after which to read. */
int64
act_reading_start(ActReading *reading, const char *cursor)
{
	int32		epoch;
	int64		position;

	if (cursor == NULL)
		return act_reading_oldest(reading, 0) - 1;
	act_stream_parse_cursor(cursor, &epoch, &position);
	check_cursor(reading, cursor, epoch, position);
	return position;
}

static void
check_cursor(ActReading *reading, const char *cursor, int32 epoch,
			 int64 position)
{
	ActStreamRow newest = {0};
	ActStreamRow at;
	int64		earliest;

	(void) act_stream_newest(reading->stream, reading->organization, &newest);
	if (position > newest.position)
	{
		check_ahead(reading, cursor, epoch, newest.position);
		return;
	}

	/* Before anything was ever published, the head is 0.0. */
	if (!is_known(reading->stream, epoch) && !(position == 0 && epoch == 0))
		refuse_forked(cursor);
	if (position > 0)
	{
		if (!act_stream_at(reading->stream, reading->organization, position, &at))
			refuse_expired(cursor, act_reading_oldest(reading, newest.position));
		if (act_stream_segment(reading->stream, at.segment)->epoch != epoch)
			refuse_forked(cursor);
	}

	/* The next event must be there, or else it was missed. */
	if (position == newest.position || is_next_there(reading, position))
		return;
	earliest = act_reading_oldest(reading, newest.position);
	if (position + 1 < earliest)
		refuse_expired(cursor, earliest);
}

/* For a cursor that is ahead of the head; returns if that may be right. */
static void
check_ahead(ActReading *reading, const char *cursor, int32 epoch, int64 head)
{
	int			count;
	const ActSegment *segments = act_stream_segments(reading->stream, &count);

	if (count == 0 || segments[count - 1].epoch != epoch)
		refuse_forked(cursor);
	/* A standby will get there. */
	if (!RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_ACT_CURSOR_FUTURE),
				 errmsg("cursor \"%s\" is ahead of the stream", cursor),
				 errdetail("The newest position is " INT64_FORMAT ".", head),
				 errhint("It belongs to another organization, or to a history that was lost.")));
}

static bool
is_next_there(ActReading *reading, int64 position)
{
	ActStreamRow next;

	act_stream_seek(reading->stream, reading->organization, position);
	return act_stream_next(reading->stream, &next) &&
		next.position == position + 1 &&
		act_lookup_event(reading->lookup, next.organization, &next.id) != NULL;
}

static void
refuse_forked(const char *cursor)
{
	ereport(ERROR,
			(errcode(ERRCODE_ACT_CURSOR_FORKED),
			 errmsg("cursor \"%s\" points into a history that is not this one",
					cursor),
			 errdetail("The database was restored or failed over before that event reached it, or the cursor is another database's."),
			 errhint("Read what the feed has, and go on from activity.stream_head().")));
}

static void
refuse_expired(const char *cursor, int64 earliest)
{
	ereport(ERROR,
			(errcode(ERRCODE_ACT_CURSOR_EXPIRED),
			 errmsg("cursor \"%s\" is older than what is kept", cursor),
			 errdetail("The oldest position kept is " INT64_FORMAT ".", earliest),
			 errhint("Pass NULL to begin with the oldest event kept.")));
}

static bool
is_known(ActStreamReader *stream, int32 epoch)
{
	int			count;
	const ActSegment *segments = act_stream_segments(stream, &count);

	for (int i = 0; i < count; i++)
		if (segments[i].epoch == epoch)
			return true;
	return false;
}

bool
act_reading_takes(const ActFeedFilter *filter, int32 type)
{
	for (int i = 0; i < filter->types.count; i++)
		if (filter->types.list[i] == type)
			return !filter->types.negated;
	return filter->types.negated;
}

/* A row of the result; without an event it only moves the cursor. */
static void
send(ActReading *reading, ReturnSetInfo *result, const ActStreamRow *at,
	 TupleTableSlot *event)
{
	Datum		values[COLUMNS];
	bool		nulls[COLUMNS];
	int32		epoch = act_stream_segment(reading->stream, at->segment)->epoch;
	ActEntry	entry;			/* values point into it */

	memset(nulls, true, sizeof(nulls));
	values[0] = Int64GetDatum(at->position);
	values[1] = CStringGetTextDatum(act_stream_cursor(epoch, at->position));
	nulls[0] = nulls[1] = false;
	if (event != NULL)
	{
		act_entry_read(event, &entry);
		entry.context = act_entry_public_context(entry.context);
		act_entry_values(&entry, values + 2, nulls + 2);
	}
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}
