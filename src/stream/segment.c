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
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "base/columns.h"
#include "base/own_table.h"
#include "stream/chain.h"
#include "stream/segment.h"

static bool is_same_life(const ActSegment *segment);
static bool is_same_month(TimestampTz one, TimestampTz other);
static int32 new_epoch(const ActSegment *segments, int count);
static void write_row(const ActSegmentTarget *target);
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
	write_row(&target);
	target.relid = make_table(target.number);
	return target;
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
write_row(const ActSegmentTarget *target)
{
	ActIdentity self = act_incarnation_identity();
	Datum		values[ACT_SEGMENT_COLUMNS];
	bool		nulls[ACT_SEGMENT_COLUMNS] = {0};

	values[ACT_SEGMENT_NUMBER - 1] = Int32GetDatum(target->number);
	values[ACT_SEGMENT_EPOCH - 1] = Int32GetDatum(target->epoch);
	values[ACT_SEGMENT_STARTED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[ACT_SEGMENT_SYSTEM_IDENTIFIER - 1] = Int64GetDatum((int64) self.system_identifier);
	values[ACT_SEGMENT_TIMELINE - 1] = Int64GetDatum((int64) GetWALInsertionTimeLine());
	values[ACT_SEGMENT_DATABASE - 1] = Int64GetDatum((int64) self.database);
	values[ACT_SEGMENT_RELATION - 1] = Int64GetDatum((int64) self.relation);
	values[ACT_SEGMENT_FORMAT - 1] = Int32GetDatum(ACT_CHAIN_FORMAT);
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
