/*
 * consumer/poll.c
 *		activity.poll(): what comes next for a consumer, leased to the caller.
 *
 * A consumer has a mark in each organization: the position up to which everything
 * is acknowledged.  A poll looks for organizations whose head is ahead of the mark
 * and that nobody has a lease of, reads on from the mark, and writes the lease
 * into it.  Pollers of one consumer never wait for each other: a mark that somebody
 * has locked is passed over, because a transaction that polls, works and
 * acknowledges may be long.
 *
 * Each session goes on with the organization after the one that it served last,
 * so that none of them starves.
 */
#include "activity.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/columns.h"
#include "base/own_table_guard.h"
#include "consumer/statement.h"
#include "event/organization.h"
#include "feed/entry.h"
#include "stream/reading.h"

PG_FUNCTION_INFO_V1(act_poll);

extern PGDLLEXPORT Datum act_poll(PG_FUNCTION_ARGS);

#define MAX_EVENTS_MOST 10000

/* Positions that a poll looks at in one organization, whatever it takes of them. */
#define LOOK_MOST 20000

/*
 * Organizations that are looked at together: few at first, because where much is
 * waiting the first ones fill a batch.
 */
#define SWEEP_LEAST 1
#define SWEEP_MOST 64

/* Organizations of one lease; each costs a row's lock and an update. */
#define ORGANIZATIONS_MOST 256

/* lease, organization, position, cursor; then the columns of activity.entry. */
#define COLUMNS (4 + ACT_ENTRY_COLUMNS)

/* One call's work. */
typedef struct Poll
{
	const char *name;
	int32		consumer;
	bool		everyone;		/* of all organizations */
	ActFeedFilter *filter;		/* the types alone are asked */
	Datum		lease;
	Datum		until;
	int			left;			/* events that may still be given */
	ActReading	reading;
	MemoryContext scratch;		/* of one event */
	ReturnSetInfo *result;
	Datum	   *organizations;	/* what was leased: int4 */
	int			count;
	const char *organization;	/* the one in hand */
} Poll;

/* An organization's mark, or what it would be. */
typedef struct Mark
{
	int32		organization;
	bool		missing;
	bool		leased;
	bool		due;			/* something was unparked */
	int32		epoch;
	int64		position;
} Mark;

/* The one served last by this session, of whatever consumer. */
static int32 served = 0;

static void begin(Poll *poll, FunctionCallInfo fcinfo);
static void sweep(Poll *poll, int32 after, int32 until);
static void offer(Poll *poll, Mark *mark);
static bool lock_mark(Poll *poll, Mark *mark);
static void take(Poll *poll, const Mark *mark);
static int	take_due(Poll *poll, const Mark *mark);
static bool is_parked(const ArrayType *parked, int64 position);
static void give(Poll *poll, const ActStreamRow *at, TupleTableSlot *event);
static void write_lease(Poll *poll, const Mark *mark, int32 epoch, int64 given,
						int64 looked);
static void name_the_mark(void *argument);

Datum
act_poll(PG_FUNCTION_ARGS)
{
	Poll		poll = {0};
	int32		start = served;
	ErrorContextCallback context = {.callback = name_the_mark, .arg = &poll};

	PreventCommandIfReadOnly("activity.poll()");
	PreventCommandDuringRecovery("activity.poll()");
	InitMaterializedSRF(fcinfo, 0);
	poll.result = (ReturnSetInfo *) fcinfo->resultinfo;
	act_reading_publish(fcinfo);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	begin(&poll, fcinfo);

	act_reading_begin(&poll.reading, poll.reading.organization);
	context.previous = error_context_stack;
	error_context_stack = &context;
	if (poll.everyone)
	{
		sweep(&poll, start, PG_INT32_MAX);
		if (poll.left > 0)
			sweep(&poll, 0, start);
	}
	else
	{
		Mark		mark = {.organization = poll.reading.organization,.missing = true};

		if (mark.organization != 0)
			offer(&poll, &mark);
	}
	error_context_stack = context.previous;
	act_reading_end(&poll.reading);

	if (poll.count > 0)
	{
		Datum		values[] = {poll.lease, Int32GetDatum(poll.consumer), poll.until,
			PointerGetDatum(construct_array(poll.organizations, poll.count, INT4OID,
											sizeof(int32), true, TYPALIGN_INT))};

		act_consumer_run(ACT_CONSUMER_ADD_LEASE, values);
	}
	SPI_finish();
	return (Datum) 0;
}

/* Reads the arguments, and the consumer. */
static void
begin(Poll *poll, FunctionCallInfo fcinfo)
{
	Datum		arguments[2];
	Interval   *duration = PG_ARGISNULL(2) ? NULL : PG_GETARG_INTERVAL_P(2);
	Datum		zero = DirectFunctionCall3(interval_in, CStringGetDatum("0"),
										   ObjectIdGetDatum(InvalidOid),
										   Int32GetDatum(-1));
	char	   *organization;
	Datum		types;
	bool		isnull;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("name must not be null")));
	poll->name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	poll->left = PG_ARGISNULL(1) ? 500 : PG_GETARG_INT32(1);
	if (poll->left < 1 || poll->left > MAX_EVENTS_MOST)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_events must be between 1 and %d", MAX_EVENTS_MOST)));
	if (duration == NULL ||
		!DatumGetBool(DirectFunctionCall2(interval_gt, IntervalPGetDatum(duration),
										  zero)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("lease must be longer than nothing")));

	PreventCommandIfReadOnly("activity.poll()");
	act_planted_check_table("consumer");
	act_planted_check_table("consumer_mark");
	act_planted_check_table("consumer_lease");
	act_planted_check_table("consumer_parked");
	arguments[0] = PG_GETARG_DATUM(0);
	arguments[1] = IntervalPGetDatum(duration);
	if (act_consumer_run(ACT_CONSUMER_FIND, arguments) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("consumer \"%s\" does not exist", poll->name),
				 errhint("See activity.consumers, or call activity.create_consumer().")));
	poll->consumer = DatumGetInt32(act_consumer_value(0, 1, &isnull));
	organization = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2);
	poll->everyone = organization == NULL;
	if (organization != NULL)
		poll->reading.organization =
			act_organization_find(organization, strlen(organization));
	poll->filter = act_feed_filter_all(1);	/* one there may be */
	types = act_consumer_value(0, 3, &isnull);
	if (!isnull)
		act_feed_filter_types(poll->filter, DatumGetArrayTypePCopy(types));
	poll->lease = datumCopy(act_consumer_value(0, 4, &isnull), false, UUID_LEN);
	poll->until = act_consumer_value(0, 5, &isnull);
	poll->scratch = AllocSetContextCreate(CurrentMemoryContext, "activity poll",
										  ALLOCSET_DEFAULT_SIZES);
	poll->organizations = palloc(ORGANIZATIONS_MOST * sizeof(Datum));
}

/* Offers events of the organizations after one and up to another, by their keys. */
static void
sweep(Poll *poll, int32 after, int32 until)
{
	bool		more = true;

	for (int most = SWEEP_LEAST;
		 more && poll->left > 0 && poll->count < ORGANIZATIONS_MOST;
		 most = Min(most * 4, SWEEP_MOST))
	{
		Datum		arguments[] = {Int32GetDatum(poll->consumer),
			Int32GetDatum(after), Int32GetDatum(until), Int32GetDatum(most)};
		int			found = act_consumer_run(ACT_CONSUMER_SWEEP, arguments);
		Mark	   *marks = palloc0((found + 1) * sizeof(Mark));

		more = found > 0;
		for (int i = 0; i < found; i++)
		{
			bool		isnull;

			marks[i].organization = DatumGetInt32(act_consumer_value(i, 1, &isnull));
			marks[i].epoch = DatumGetInt32(act_consumer_value(i, 2, &marks[i].missing));
			marks[i].position = DatumGetInt64(act_consumer_value(i, 3, &isnull));
			marks[i].leased = DatumGetBool(act_consumer_value(i, 4, &isnull)) && !isnull;
			marks[i].due = DatumGetBool(act_consumer_value(i, 5, &isnull));
		}
		for (int i = 0; i < found && poll->left > 0 &&
			 poll->count < ORGANIZATIONS_MOST; i++)
		{
			CHECK_FOR_INTERRUPTS();
			after = marks[i].organization;
			if (!marks[i].leased)
				offer(poll, &marks[i]);
		}
		pfree(marks);
	}
}

/* If there is something, and nobody else has it: takes it. */
static void
offer(Poll *poll, Mark *mark)
{
	ActStreamRow newest;

	if (!act_stream_newest(poll->reading.stream, mark->organization, &newest))
		return;
	if (poll->everyone && newest.position <= mark->position && !mark->due &&
		!mark->missing)
		return;
	if (!lock_mark(poll, mark))
		return;
	poll->reading.organization = mark->organization;
	poll->organization = act_organization_id(mark->organization);
	if (take_due(poll, mark) == 0)
		take(poll, mark);
	poll->organization = NULL;
	if (poll->everyone)
		served = mark->organization;
}

/*
 * Locks the mark and reads it as it is now; false if somebody has it.  A mark that
 * is missing has nothing to be locked, so there a lock of ours does it that pollers
 * alone take.
 */
static bool
lock_mark(Poll *poll, Mark *mark)
{
	Datum		arguments[] = {Int32GetDatum(poll->consumer),
		Int32GetDatum(mark->organization)};
	bool		isnull;

	if (mark->missing)
	{
		if (!act_consumer_try_lock(poll->consumer, mark->organization))
			return false;
		act_consumer_run(ACT_CONSUMER_ADD_MARK, arguments);
	}
	if (act_consumer_run(ACT_CONSUMER_LOCK_MARK, arguments) == 0)
		return false;
	mark->epoch = DatumGetInt32(act_consumer_value(0, 1, &isnull));
	mark->position = DatumGetInt64(act_consumer_value(0, 2, &isnull));
	mark->leased = DatumGetBool(act_consumer_value(0, 3, &isnull)) && !isnull;
	return !mark->leased;
}

/* Gives what comes after the mark; if there is nothing for us there, moves it on. */
static void
take(Poll *poll, const Mark *mark)
{
	char	   *cursor = act_stream_cursor(mark->epoch, mark->position);
	int64		start = act_reading_start(&poll->reading, cursor);
	Datum		arguments[] = {Int32GetDatum(poll->consumer),
		Int32GetDatum(mark->organization), Int64GetDatum(start)};
	ArrayType  *parked = NULL;
	ActStreamRow at;
	ActStreamRow last = {.position = start};
	int64		given = 0;
	bool		isnull;

	if (act_consumer_run(ACT_CONSUMER_PARKED, arguments) > 0)
	{
		Datum		positions = act_consumer_value(0, 1, &isnull);

		if (!isnull)
			parked = DatumGetArrayTypePCopy(positions);
	}
	act_stream_seek(poll->reading.stream, mark->organization, start);
	for (int looked = 0; looked < LOOK_MOST && poll->left > 0 &&
		 act_stream_next(poll->reading.stream, &at); looked++)
	{
		TupleTableSlot *event = act_lookup_event(poll->reading.lookup,
												 at.organization, &at.id);

		CHECK_FOR_INTERRUPTS();
		last = at;
		/* What retention has dropped out of the middle is an old import. */
		if (event == NULL || poll->filter->impossible ||
			!act_reading_takes(poll->filter,
							   DatumGetInt32(slot_getattr(event, ACT_EVENT_TYPE,
														  &isnull))) ||
			is_parked(parked, at.position))
			continue;
		give(poll, &at, event);
		given = at.position;
	}
	if (last.position > start)
		write_lease(poll, mark,
					act_stream_segment(poll->reading.stream, last.segment)->epoch,
					given, last.position);
}

/* Gives what was parked and is to be tried again; how many events. */
static int
take_due(Poll *poll, const Mark *mark)
{
	Datum		arguments[] = {Int32GetDatum(poll->consumer),
		Int32GetDatum(mark->organization), poll->lease, Int32GetDatum(poll->left)};
	int			found = act_consumer_run(ACT_CONSUMER_TAKE_DUE, arguments);
	int64	   *positions = palloc((found + 1) * sizeof(int64));
	int			given = 0;

	for (int i = 0; i < found; i++)
	{
		bool		isnull;

		positions[i] = DatumGetInt64(act_consumer_value(i, 1, &isnull));
	}
	for (int i = 0; i < found; i++)
	{
		ActStreamRow at;
		TupleTableSlot *event;

		/* What retention has removed stays parked until somebody unparks it. */
		if (!act_stream_at(poll->reading.stream, mark->organization, positions[i],
						   &at) ||
			(event = act_lookup_event(poll->reading.lookup, mark->organization,
									  &at.id)) == NULL)
			continue;
		give(poll, &at, event);
		given++;
	}
	if (given > 0)
		write_lease(poll, mark, mark->epoch, Max(mark->position, 1), mark->position);
	return given;
}

static bool
is_parked(const ArrayType *parked, int64 position)
{
	int64	   *positions;
	int			count;

	if (parked == NULL)
		return false;
	positions = (int64 *) ARR_DATA_PTR(parked);
	count = ArrayGetNItems(ARR_NDIM(parked), ARR_DIMS(parked));
	for (int i = 0; i < count; i++)
		if (positions[i] == position)
			return true;
	return false;
}

/* A row of the result. */
static void
give(Poll *poll, const ActStreamRow *at, TupleTableSlot *event)
{
	MemoryContext old = MemoryContextSwitchTo(poll->scratch);
	Datum		values[COLUMNS];
	bool		nulls[COLUMNS] = {0};
	int32		epoch = act_stream_segment(poll->reading.stream, at->segment)->epoch;
	ActEntry	entry;			/* values point into it */

	values[0] = poll->lease;
	values[1] = CStringGetTextDatum(poll->organization);
	values[2] = Int64GetDatum(at->position);
	values[3] = CStringGetTextDatum(act_stream_cursor(epoch, at->position));
	act_entry_read(event, &entry);
	entry.context = act_entry_public_context(entry.context);
	act_entry_values(&entry, values + 4, nulls + 4);
	tuplestore_putvalues(poll->result->setResult, poll->result->setDesc, values,
						 nulls);
	poll->left--;
	MemoryContextSwitchTo(old);
	MemoryContextReset(poll->scratch);
}

/*
 * Leases the organization up to what was looked at; where nothing was given there
 * is nothing to be acknowledged, and the mark itself moves.
 */
static void
write_lease(Poll *poll, const Mark *mark, int32 epoch, int64 given, int64 looked)
{
	Datum		arguments[] = {Int32GetDatum(poll->consumer),
		Int32GetDatum(mark->organization), Int32GetDatum(epoch),
		Int64GetDatum(looked), Int64GetDatum(given), poll->lease, poll->until};

	if (given == 0)
	{
		act_consumer_run(ACT_CONSUMER_MOVE_MARK, arguments);
		return;
	}
	Assert(poll->count < ORGANIZATIONS_MOST);
	act_consumer_run(ACT_CONSUMER_LEASE_MARK, arguments);
	poll->organizations[poll->count++] = Int32GetDatum(mark->organization);
}

/* Which consumer's cursor an error is about. */
static void
name_the_mark(void *argument)
{
	Poll	   *poll = argument;

	if (poll->organization != NULL)
		errcontext("consumer \"%s\" in organization \"%s\"", poll->name,
				   poll->organization);
}
