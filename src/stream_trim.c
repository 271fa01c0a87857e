/*
 * stream_trim.c
 *		Retention's part of the stream.
 *
 * Positions of events that are gone stay until their whole segment can be
 * dropped: no row is deleted one by one.  What remains of a dropped one is an
 * anchor for each organization, the position and hash that its stream goes on
 * from.  An anchor also moves over what is gone at the beginning of a stream,
 * so that readers don't walk over it each time.
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

#include "lookup.h"
#include "partition.h"
#include "relation.h"
#include "stream.h"
#include "stream_trim.h"
#include "upkeep.h"

static List *organizations_with_rules(void);
static void move_anchor(ActStreamReader *stream, ActLookup *lookup,
						int32 organization);
static void drop_segments(ActMaintainReport report, void *state);
static void drop_segment(void *argument);

void
act_stream_trim(ActMaintainReport report, void *state)
{
	List	   *organizations = organizations_with_rules();
	ActStreamReader *stream;
	ActLookup  *lookup;
	ListCell   *cell;

	if (organizations == NIL)
		return;
	act_upkeep_run("INSERT INTO _activity.expiry (organization, before)"
				   " SELECT key, now() - keep FROM _activity.retention_of"
				   " WHERE keep IS NOT NULL"
				   " ON CONFLICT (organization) DO UPDATE SET before = excluded.before"
				   " WHERE expiry.before < excluded.before");

	PushActiveSnapshot(GetLatestSnapshot());
	stream = act_stream_open(GetActiveSnapshot());
	lookup = act_lookup_open(GetActiveSnapshot());
	foreach(cell, organizations)
		move_anchor(stream, lookup, lfirst_int(cell));
	act_lookup_close(lookup);
	act_stream_close(stream);
	PopActiveSnapshot();
	CommandCounterIncrement();

	drop_segments(report, state);
}

static List *
organizations_with_rules(void)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *list = NIL;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute("SELECT DISTINCT key FROM _activity.retention_of"
					" WHERE keep IS NOT NULL", false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the rules of retention");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		bool		isnull;

		list = lappend_int(list,
						   DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[i],
													   SPI_tuptable->tupdesc, 1,
													   &isnull)));
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	return list;
}

/* Over what is gone at the beginning, as far as that reaches. */
static void
move_anchor(ActStreamReader *stream, ActLookup *lookup, int32 organization)
{
	ActStreamRow anchor = {0};
	ActStreamRow at;
	bool		moved = false;
	Datum		values[4];
	bool		nulls[4] = {0};
	bytea	   *hash;

	(void) act_stream_anchored(stream, organization, &anchor);
	act_stream_seek(stream, organization, anchor.position);
	while (act_stream_next(stream, &at) &&
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
	values[0] = Int32GetDatum(organization);
	values[1] = Int64GetDatum(anchor.position);
	values[2] = Int32GetDatum(anchor.segment);
	values[3] = PointerGetDatum(hash);
	act_relation_insert(ACT_REL_STREAM_ANCHOR, values, nulls);
	pfree(hash);
}

/*
 * A segment's events are not younger than its end, but for those that were
 * recorded ahead of their time.  So it is looked at closely only when the months
 * before its end are gone.
 */
static void
drop_segments(ActMaintainReport report, void *state)
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
						   " WHERE EXISTS (SELECT FROM _activity.event e"
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
	act_upkeep_run("INSERT INTO _activity.stream_anchor"
				   " SELECT DISTINCT ON (organization) organization, position, segment, hash"
				   " FROM _activity.stream_%d ORDER BY organization, position DESC"
				   " ON CONFLICT DO NOTHING", number);
	act_upkeep_run("DROP TABLE _activity.stream_%d", number);
}
