/*
 * stream/segment.c
 *		Which part of the stream the publisher appends to.
 *
 * A segment ends with its month, so that retention can drop it, and when
 * history may have forked: what was published after a backup was taken, or had
 * not reached the standby that was promoted, is gone here, and somebody may
 * hold a cursor to it.  Whether it forked can't be known, that it may have
 * can: the cluster, its timeline, the database or our tables are others than
 * those that published last.  The new epoch's number is random, because
 * two forks of one past must not choose the same one.
 */
#include "activity.h"

#include "access/table.h"
#include "access/xlog.h"
#include "commands/tablespace.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "base/columns.h"
#include "base/own_table.h"
#include "stream/chain.h"
#include "stream/progress.h"
#include "stream/segment.h"

PG_FUNCTION_INFO_V1(act_adopt_segment);
PG_FUNCTION_INFO_V1(act_resume_segments);

extern PGDLLEXPORT Datum act_adopt_segment(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum act_resume_segments(PG_FUNCTION_ARGS);

/* A row of the table, that it is to have. */
typedef struct Row
{
	int32		number;
	int32		epoch;
	TimestampTz started_at;
	ActIdentity identity;
	int64		timeline;
	int32		format;
} Row;

static bool is_same_life(const ActSegment *segment);
static int32 find_adopted(const ActSegment *segments, int count, const Row *wanted, int32 after);
static bool is_same_month(TimestampTz one, TimestampTz other);
static int32 new_epoch(const ActSegment *segments, int count);
static void write_own_row(const ActSegmentTarget *target);
static void write_row(const Row *row);
static Oid	make_table(int32 number);
static Oid	find_table(int32 number);

ActSegmentTarget
act_segment_current(ActStreamReader *stream)
{
	int			count;
	const ActSegment *segments = act_stream_segments(stream, &count);
	const ActSegment *newest = count > 0 ? &segments[count - 1] : NULL;
	bool		goes_on = newest != NULL && is_same_life(newest);
	ActSegmentTarget target;

	if (goes_on && is_same_month(newest->started_at, GetCurrentTimestamp()))
	{
		target.number = newest->number;
		target.epoch = newest->epoch;
		target.relid = find_table(newest->number);
		if (OidIsValid(target.relid))
			return target;
	}
	target.number = newest != NULL ? newest->number + 1 : 1;
	target.epoch = goes_on ? newest->epoch : new_epoch(segments, count);
	write_own_row(&target);
	target.relid = make_table(target.number);
	return target;
}

/*
 * adopt_segment(epoch, started_at, system_identifier, timeline, database, relation,
 * format, after, used): the number that a segment of another database has here, after
 * this one.  A stream's segments ascend with its positions, and whoever comes from
 * the same database later shares them, so that there are no more than months there.
 * Under the lock of publishing, and resume_segments() comes after.
 */
Datum
act_adopt_segment(PG_FUNCTION_ARGS)
{
	Row			wanted = {0};
	int32		after = PG_GETARG_INT32(7);
	bool		used = PG_GETARG_BOOL(8);
	ActStreamReader *stream;
	const ActSegment *segments;
	int			count;

	wanted.epoch = PG_GETARG_INT32(0);
	wanted.started_at = PG_GETARG_TIMESTAMPTZ(1);
	wanted.identity.system_identifier = PG_GETARG_INT64(2);
	wanted.timeline = PG_GETARG_INT64(3);
	wanted.identity.database = PG_GETARG_INT64(4);
	wanted.identity.relation = PG_GETARG_INT64(5);
	wanted.format = PG_GETARG_INT32(6);
	if (wanted.format != ACT_CHAIN_FORMAT || wanted.epoch <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_ACT_BAD_MOVE),
				 errmsg("segments of format %d and epoch %d are not known here",
						wanted.format, wanted.epoch)));
	PushActiveSnapshot(GetLatestSnapshot());
	stream = act_stream_open(GetActiveSnapshot());
	segments = act_stream_segments(stream, &count);
	wanted.number = find_adopted(segments, count, &wanted, after);
	if (wanted.number == 0)
	{
		wanted.number = count > 0 ? segments[count - 1].number + 1 : 1;
		write_row(&wanted);
	}
	act_stream_close(stream);
	PopActiveSnapshot();
	CommandCounterIncrement();
	if (used && !OidIsValid(find_table(wanted.number)))
		(void) make_table(wanted.number);
	PG_RETURN_INT32(wanted.number);
}

static int32
find_adopted(const ActSegment *segments, int count, const Row *wanted, int32 after)
{
	for (int i = 0; i < count; i++)
		if (segments[i].number > after &&
			segments[i].epoch == wanted->epoch &&
			segments[i].started_at == wanted->started_at &&
			segments[i].timeline == wanted->timeline &&
			segments[i].identity.system_identifier == wanted->identity.system_identifier &&
			segments[i].identity.database == wanted->identity.database &&
			segments[i].identity.relation == wanted->identity.relation)
			return segments[i].number;
	return 0;
}

/*
 * resume_segments(): what is published from now on comes after all that was adopted,
 * in the epoch of before; and whoever knows where a stream ends looks again.
 */
Datum
act_resume_segments(PG_FUNCTION_ARGS)
{
	ActStreamReader *stream;
	const ActSegment *segments;
	int			count;
	ActSegmentTarget target = {0};
	ActProgress progress;

	PushActiveSnapshot(GetLatestSnapshot());
	stream = act_stream_open(GetActiveSnapshot());
	segments = act_stream_segments(stream, &count);
	act_progress_read(GetActiveSnapshot(), &progress);
	progress.segment = count > 0 ? segments[count - 1].number : 0;
	progress.events = 0;
	if (count > 0 && !is_same_life(&segments[count - 1]))
	{
		target.number = segments[count - 1].number + 1;
		for (int i = count - 1; i >= 0 && target.epoch == 0; i--)
			if (is_same_life(&segments[i]))
				target.epoch = segments[i].epoch;
		if (target.epoch == 0)
			target.epoch = new_epoch(segments, count);
		write_own_row(&target);
		progress.segment = target.number;
	}
	/* Where nothing was ever published, there are positions now. */
	if (count > 0)
		act_progress_write(&progress);
	act_stream_close(stream);
	PopActiveSnapshot();
	CommandCounterIncrement();
	if (target.number != 0)
		(void) make_table(target.number);
	CacheInvalidateRelcacheByRelid(act_relation_oid(ACT_REL_STREAM));
	PG_RETURN_VOID();
}

static bool
is_same_life(const ActSegment *segment)
{
	ActIdentity self = act_incarnation_identity();

	return segment->identity.system_identifier == self.system_identifier &&
		segment->identity.database == self.database &&
		segment->identity.relation == self.relation &&
		segment->timeline == GetWALInsertionTimeLine();
}

static bool
is_same_month(TimestampTz one, TimestampTz other)
{
	TimestampTz times[2] = {one, other};
	struct pg_tm tm[2];
	fsec_t		fsec;

	for (int i = 0; i < 2; i++)
		if (timestamp2tm(times[i], NULL, &tm[i], &fsec, NULL, NULL) != 0)
			return false;
	return tm[0].tm_year == tm[1].tm_year && tm[0].tm_mon == tm[1].tm_mon;
}

static int32
new_epoch(const ActSegment *segments, int count)
{
	for (;;)
	{
		int32		epoch;
		bool		taken;

		if (!pg_strong_random(&epoch, sizeof(epoch)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate a random number")));
		epoch &= PG_INT32_MAX;
		taken = epoch == 0;
		for (int i = 0; i < count && !taken; i++)
			taken = segments[i].epoch == epoch;
		if (!taken)
			return epoch;
	}
}

static void
write_own_row(const ActSegmentTarget *target)
{
	Row			row = {target->number, target->epoch};

	row.started_at = GetCurrentTimestamp();
	row.identity = act_incarnation_identity();
	row.timeline = GetWALInsertionTimeLine();
	row.format = ACT_CHAIN_FORMAT;
	write_row(&row);
}

static void
write_row(const Row *row)
{
	Datum		values[ACT_SEGMENT_COLUMNS];
	bool		nulls[ACT_SEGMENT_COLUMNS] = {0};

	values[ACT_SEGMENT_NUMBER - 1] = Int32GetDatum(row->number);
	values[ACT_SEGMENT_EPOCH - 1] = Int32GetDatum(row->epoch);
	values[ACT_SEGMENT_STARTED_AT - 1] = TimestampTzGetDatum(row->started_at);
	values[ACT_SEGMENT_SYSTEM_IDENTIFIER - 1] = Int64GetDatum((int64) row->identity.system_identifier);
	values[ACT_SEGMENT_TIMELINE - 1] = Int64GetDatum(row->timeline);
	values[ACT_SEGMENT_DATABASE - 1] = Int64GetDatum((int64) row->identity.database);
	values[ACT_SEGMENT_RELATION - 1] = Int64GetDatum((int64) row->identity.relation);
	values[ACT_SEGMENT_FORMAT - 1] = Int32GetDatum(row->format);
	act_relation_insert(ACT_REL_SEGMENT, values, nulls);
}

/*
 * As the owner of the stream, whoever publishes, and with nothing of the
 * session's settings.  ATTACH PARTITION lets readers read.
 */
static Oid
make_table(int32 number)
{
	Relation	parent = table_open(act_relation_oid(ACT_REL_STREAM),
									AccessShareLock);
	Oid			user;
	int			context;
	int			level;
	char	   *sql;

	sql = psprintf("CREATE TABLE _activity.stream_%d (LIKE _activity.stream)"
				   " WITH (fillfactor = 100, autovacuum_freeze_min_age = 0);"
				   " CREATE UNIQUE INDEX stream_%d_key ON _activity.stream_%d (organization, position);"
				   " CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE"
				   " ON _activity.stream_%d"
				   " FOR EACH STATEMENT EXECUTE FUNCTION _activity.refuse_change();"
				   " ALTER TABLE _activity.stream_%d ENABLE ALWAYS TRIGGER append_only;"
				   " ALTER TABLE _activity.stream ATTACH PARTITION _activity.stream_%d FOR VALUES IN (%d)",
				   number, number, number, number, number, number, number);

	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(parent->rd_rel->relowner,
						   context | SECURITY_RESTRICTED_OPERATION |
						   SECURITY_LOCAL_USERID_CHANGE);
	level = NewGUCNestLevel();
	(void) set_config_option("default_tablespace",
							 OidIsValid(parent->rd_rel->reltablespace) ?
							 get_tablespace_name(parent->rd_rel->reltablespace) : "",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	table_close(parent, AccessShareLock);
	(void) set_config_option("search_path", "pg_catalog, pg_temp",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	(void) set_config_option("default_table_access_method", "heap",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute(sql, false, 0) < 0)
		elog(ERROR, "could not make segment %d of the stream", number);
	SPI_finish();
	AtEOXact_GUC(false, level);
	SetUserIdAndSecContext(user, context);
	pfree(sql);
	return find_table(number);
}

static Oid
find_table(int32 number)
{
	char		name[NAMEDATALEN];

	snprintf(name, sizeof(name), "stream_%d", number);
	return get_relname_relid(name, get_rel_namespace(act_relation_oid(ACT_REL_STREAM)));
}
