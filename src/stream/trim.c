/*
 * stream/trim.c
 *		Retention's part of the stream.
 *
 * Positions of events that are gone stay until their whole segment can be
 * dropped: no row is deleted one by one.  What remains of a dropped one is an
 * anchor for each organization, the position and hash that its stream goes on
 * from.  An anchor also moves over what is gone at the beginning of a stream,
 * so that readers don't walk over it each time.
 *
 * Both concern only what is gone by right, as _activity.expiry has it: an event
 * that somebody else removed must be missed by verify() as long as it should be
 * there, and so its position stays.
 */
#include "activity.h"

#include "access/table.h"
#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/columns.h"
#include "event/append_only.h"
#include "event/id.h"
#include "event/lookup.h"
#include "event/month.h"
#include "base/own_table_guard.h"
#include "base/own_table.h"
#include "stream/stream.h"
#include "stream/trim.h"
#include "event/owner.h"

/* Events of the organization from before that time are gone by right. */
typedef struct Expiry
{
	int32		organization;
	TimestampTz before;
} Expiry;

static void note_expiries(void);
static List *read_expiries(void);
static void move_anchor(ActStreamReader *stream, ActLookup *lookup,
						const Expiry *expiry);
static void drop_segments(ActUpkeepReport report, void *state);
static void drop_segment(void *argument);

void
act_stream_trim(ActUpkeepReport report, void *state)
{
	List	   *expiries;
	ActStreamReader *stream;
	ActLookup  *lookup;
	ListCell   *cell;

	act_planted_check_table("expiry");
	act_append_only_lift();
	PG_TRY();
	{
		note_expiries();
	}
	PG_FINALLY();
	{
		act_append_only_restore();
	}
	PG_END_TRY();
	expiries = read_expiries();

	PushActiveSnapshot(GetLatestSnapshot());
	stream = act_stream_open(GetActiveSnapshot());
	lookup = act_lookup_open(GetActiveSnapshot());
	foreach(cell, expiries)
		move_anchor(stream, lookup, lfirst(cell));
	act_lookup_close(lookup);
	act_stream_close(stream);
	PopActiveSnapshot();
	CommandCounterIncrement();

	drop_segments(report, state);
}

static void
note_expiries(void)
{
	act_upkeep_run("INSERT INTO _activity.expiry (organization, before)"
				   " SELECT key, " ACT_UPKEEP_KEPT_SINCE("keep")
				   " FROM " ACT_UPKEEP_RETENTION " k WHERE keep IS NOT NULL"
				   " ON CONFLICT (organization) DO UPDATE SET before = excluded.before"
				   " WHERE expiry.before < excluded.before");
}

static List *
read_expiries(void)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *list = NIL;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute("SELECT organization, before FROM _activity.expiry",
					false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read what is gone by right");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	columns = SPI_tuptable->tupdesc;
		MemoryContext old = MemoryContextSwitchTo(context);
		Expiry	   *expiry = palloc(sizeof(Expiry));
		bool		isnull;

		expiry->organization = DatumGetInt32(SPI_getbinval(row, columns, 1,
														   &isnull));
		expiry->before = DatumGetTimestampTz(SPI_getbinval(row, columns, 2,
														   &isnull));
		list = lappend(list, expiry);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	return list;
}

/* Over what is gone at the beginning, as far as that reaches. */
static void
move_anchor(ActStreamReader *stream, ActLookup *lookup, const Expiry *expiry)
{
	int32		organization = expiry->organization;
	ActStreamRow anchor = {0};
	ActStreamRow at;
	TimestampTz time;
	bool		moved = false;
	Datum		values[ACT_STREAM_ANCHOR_COLUMNS];
	bool		nulls[ACT_STREAM_ANCHOR_COLUMNS] = {0};
	bytea	   *hash;

	(void) act_stream_anchored(stream, organization, &anchor);
	act_stream_seek(stream, organization, anchor.position);
	while (act_stream_next(stream, &at) &&
		   act_event_id_time(&at.id, &time) && time < expiry->before &&
		   act_lookup_event(lookup, organization, &at.id) == NULL)
	{
		CHECK_FOR_INTERRUPTS();
		anchor = at;
		moved = true;
	}
	if (!moved)
		return;
	hash = palloc(VARHDRSZ + sizeof(anchor.hash));
	SET_VARSIZE(hash, VARHDRSZ + sizeof(anchor.hash));
	memcpy(VARDATA(hash), anchor.hash, sizeof(anchor.hash));
	values[ACT_STREAM_ANCHOR_ORGANIZATION - 1] = Int32GetDatum(organization);
	values[ACT_STREAM_ANCHOR_POSITION - 1] = Int64GetDatum(anchor.position);
	values[ACT_STREAM_ANCHOR_SEGMENT - 1] = Int32GetDatum(anchor.segment);
	values[ACT_STREAM_ANCHOR_HASH - 1] = PointerGetDatum(hash);
	act_relation_insert(ACT_REL_STREAM_ANCHOR, values, nulls);
	pfree(hash);
}

/*
 * A segment's events are not younger than its end, but for those that were
 * recorded ahead of their time.  So it is looked at closely only when the months
 * before its end are gone.
 */
static void
drop_segments(ActUpkeepReport report, void *state)
{
	List	   *months = act_partition_list();
	ActStreamReader *stream;
	const ActSegment *segments;
	int			count;
	TimestampTz oldest;

	if (months == NIL)
		return;
	oldest = ((ActPartition *) linitial(months))->since;
	PushActiveSnapshot(GetLatestSnapshot());
	stream = act_stream_open(GetActiveSnapshot());
	segments = act_stream_segments(stream, &count);
	for (int i = 0; i + 1 < count; i++)
	{
		char	   *name = psprintf("stream_%d", segments[i].number);
		int32		number = segments[i].number;

		if (segments[i + 1].started_at > oldest ||
			!OidIsValid(act_upkeep_table(name)) ||
			act_upkeep_ask("SELECT count(*) FROM (SELECT FROM _activity.%s s"
						   " LEFT JOIN _activity.expiry x USING (organization)"
						   " WHERE CASE WHEN s.id::text ~ '^.{14}7.{4}[89ab]'"
						   " THEN activity.event_time(s.id) < x.before END IS NOT TRUE"
						   " OR EXISTS (SELECT FROM _activity.event e"
						   " WHERE e.organization = s.organization AND e.id = s.id)"
						   " LIMIT 1) kept", name) > 0)
			continue;
		if (act_upkeep_attempt(drop_segment, &number) == 0)
			report(state, "drop", psprintf("_activity.%s", name), -1);
		else
			report(state, "skip", psprintf("_activity.%s is in use", name), -1);
	}
	act_stream_close(stream);
	PopActiveSnapshot();
}

static void
drop_segment(void *argument)
{
	int32		number = *(int32 *) argument;

	LockRelationOid(act_relation_oid(ACT_REL_STREAM), AccessExclusiveLock);
	act_planted_check_table("stream_anchor");
	act_upkeep_run("INSERT INTO _activity.stream_anchor"
				   " SELECT DISTINCT ON (organization) organization, position, segment, hash"
				   " FROM _activity.stream_%d ORDER BY organization, position DESC"
				   " ON CONFLICT DO NOTHING", number);
	act_upkeep_run("DROP TABLE _activity.stream_%d", number);
}
