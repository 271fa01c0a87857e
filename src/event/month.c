/*
 * event/month.c
 *		The monthly partitions of the events.
 *
 * A partition begins as a table of its own, with its own indexes and trigger,
 * and is attached when it is complete.  Nothing but columns is inherited, and
 * no month is a member of the extension, because only then does a dump restore:
 * the extension brings the bare parent, the dump the months.
 *
 * ATTACH PARTITION lets recording go on in other partitions, but locks the
 * default partition against everybody, and reads it whole to see that it
 * holds no row of the new month.  So the default is kept small by maintain(),
 * and the lock is taken when all else is done.
 */
#include "activity.h"

#include "access/table.h"
#include "access/xact.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "event/append_only.h"
#include "event/month.h"
#include "base/own_table_guard.h"
#include "base/own_table.h"
#include "event/owner.h"

/* Set-up functions move no more rows than that; maintain() does. */
#define SETUP_ROWS 10000

/* The indexes of every partition, event_default's in tables.sql included. */
static const struct
{
	const char *suffix;
	const char *kind;
	const char *columns;
}			indexes[] = {
	{"key", "UNIQUE ", "(organization, id)"},
	{"type", "", "(organization, type, id)"},
	{"actor", "", "(actor_hash, organization, id)"},
	{"subject", "", "(subject_hash, organization, id)"},
	{"behalf", "", "(on_behalf_of_hash, organization, id) WHERE on_behalf_of_hash IS NOT NULL"},
	{"xid", "", "(xid)"}
};

static bool is_ahead_missing(ActMonth *first, ActMonth *last);
static void make_ahead(ActMonth first, ActMonth last);
static void delete_moved(const char *start, const char *end);
static int64 count_default(const char *start, const char *end, int64 limit);

ActMonth
act_partition_month(TimestampTz time)
{
	struct pg_tm tm;
	fsec_t		fsec;

	if (timestamp2tm(time, NULL, &tm, &fsec, NULL, NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	return tm.tm_year * 12 + tm.tm_mon - 1;
}

char *
act_partition_start(ActMonth month)
{
	return psprintf("%04d-%02d-01 00:00:00+00", month / 12, month % 12 + 1);
}

char *
act_partition_name(ActMonth month)
{
	return psprintf("event_%04d_%02d", month / 12, month % 12 + 1);
}

bool
act_partition_name_is_taken(ActMonth month)
{
	char	   *name = act_partition_name(month);

	for (int i = 0; i < lengthof(indexes); i++)
		if (OidIsValid(act_upkeep_table(psprintf("%s_%s", name,
												 indexes[i].suffix))))
			return true;
	return OidIsValid(act_upkeep_table(name));
}

List *
act_partition_list(void)
{
	Relation	event = act_relation_open(ACT_REL_EVENT, AccessShareLock);
	PartitionDesc descriptor = RelationGetPartitionDesc(event, true);
	PartitionBoundInfo bounds = descriptor->boundinfo;
	List	   *list = NIL;

	/* A range partition lies between its datum and the one before. */
	for (int i = 1; bounds != NULL && i < bounds->ndatums; i++)
	{
		ActPartition *partition;

		if (bounds->indexes[i] < 0)
			continue;
		partition = palloc(sizeof(ActPartition));
		partition->relid = descriptor->oids[bounds->indexes[i]];
		partition->since = bounds->kind[i - 1][0] == PARTITION_RANGE_DATUM_VALUE ?
			DatumGetTimestampTz(bounds->datums[i - 1][0]) : DT_NOBEGIN;
		partition->until = bounds->kind[i][0] == PARTITION_RANGE_DATUM_VALUE ?
			DatumGetTimestampTz(bounds->datums[i][0]) : DT_NOEND;
		list = lappend(list, partition);
	}
	table_close(event, NoLock);
	return list;
}

/* Does any of the month lie in one of these partitions? */
bool
act_partition_covers(List *partitions, ActMonth month)
{
	ListCell   *cell;

	foreach(cell, partitions)
	{
		const ActPartition *partition = lfirst(cell);

		if ((TIMESTAMP_IS_NOBEGIN(partition->since) ||
			 act_partition_month(partition->since) <= month) &&
			(TIMESTAMP_IS_NOEND(partition->until) ||
			 act_partition_month(partition->until - 1) >= month))
			return true;
	}
	return false;
}

/*
 * The free space of an insert-only page helps nobody, so pages are filled.
 * Vacuum comes after inserts alone; it freezes then and there, while the pages
 * are still in memory, instead of writing each of them a second time when they
 * come of age.
 */
void
act_partition_prepare(ActNewPartition *new, bool has_rows)
{
	char	   *name = act_partition_name(new->month);

	act_upkeep_run("CREATE TABLE _activity.%s"
				   " (LIKE _activity.event INCLUDING STORAGE INCLUDING COMPRESSION)"
				   " WITH (fillfactor = 100, autovacuum_freeze_min_age = 0)",
				   name);
	new->moved = 0;
	if (has_rows)
		new->moved =
			act_upkeep_run("INSERT INTO _activity.%s SELECT * FROM ONLY _activity.event_default"
						   " WHERE occurred_at >= '%s' AND occurred_at < '%s'"
						   " ORDER BY organization, id",
						   name, act_partition_start(new->month),
						   act_partition_start(new->month + 1));
	for (int i = 0; i < lengthof(indexes); i++)
		act_upkeep_run("CREATE %sINDEX %s_%s ON _activity.%s %s",
					   indexes[i].kind, name, indexes[i].suffix, name,
					   indexes[i].columns);
	act_upkeep_run("CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE"
				   " ON _activity.%s"
				   " FOR EACH STATEMENT EXECUTE FUNCTION _activity.refuse_change();"
				   " ALTER TABLE _activity.%s ENABLE ALWAYS TRIGGER append_only",
				   name, name);
}

void
act_partition_lock(void)
{
	LockRelationOid(act_upkeep_table("event"), ShareUpdateExclusiveLock);
	LockRelationOid(act_upkeep_table("event_default"), AccessExclusiveLock);
}

void
act_partition_attach(ActNewPartition *new)
{
	char	   *name = act_partition_name(new->month);
	char	   *start = act_partition_start(new->month);
	char	   *end = act_partition_start(new->month + 1);

	/* Rows only ever come, so equal numbers are equal sets. */
	if (count_default(start, end, PG_INT64_MAX) > new->moved)
		new->moved +=
			act_upkeep_run("INSERT INTO _activity.%s SELECT * FROM ONLY _activity.event_default late"
						   " WHERE occurred_at >= '%s' AND occurred_at < '%s'"
						   " AND NOT EXISTS (SELECT FROM _activity.%s copied"
						   " WHERE copied.organization = late.organization AND copied.id = late.id)",
						   name, start, end, name);
	if (new->moved > 0)
		delete_moved(start, end);
	act_upkeep_run("ALTER TABLE _activity.event ATTACH PARTITION _activity.%s"
				   " FOR VALUES FROM ('%s') TO ('%s')", name, start, end);
}

static void
delete_moved(const char *start, const char *end)
{
	act_planted_check_table("event_default");
	act_append_only_lift();
	PG_TRY();
	{
		act_upkeep_run("DELETE FROM ONLY _activity.event_default"
					   " WHERE occurred_at >= '%s' AND occurred_at < '%s'",
					   start, end);
	}
	PG_FINALLY();
	{
		act_append_only_restore();
	}
	PG_END_TRY();
}

/* Rows of the default partition in that time, counted up to the limit. */
static int64
count_default(const char *start, const char *end, int64 limit)
{
	return act_upkeep_ask("SELECT count(*) FROM"
						  " (SELECT FROM ONLY _activity.event_default"
						  " WHERE occurred_at >= '%s' AND occurred_at < '%s'"
						  " LIMIT " INT64_FORMAT ") few", start, end, limit);
}

/*
 * The subtransaction is for what can't be foreseen: a set-up function is not
 * to fail because a month could not be made that maintain() will make.
 */
void
act_partition_ensure_ahead(void)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ActMonth	first;
	ActMonth	last;
	ActUpkeep	upkeep;

	/* In CREATE EXTENSION the months would become members. */
	if (creating_extension || !is_ahead_missing(&first, &last))
		return;
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		if (act_upkeep_begin(&upkeep))
		{
			make_ahead(first, last);
			act_upkeep_end(&upkeep);
		}
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED ||
			error->sqlerrcode == ERRCODE_ASSERT_FAILURE ||
			ERRCODE_TO_CATEGORY(error->sqlerrcode) ==
			ERRCODE_TO_CATEGORY(ERRCODE_ADMIN_SHUTDOWN))
			ReThrowError(error);
		if (error->sqlerrcode != ERRCODE_OBJECT_IN_USE &&
			error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
			ereport(WARNING,
					(errcode(error->sqlerrcode),
					 errmsg("could not make partitions for the events of the next months"),
					 errdetail_internal("%s", error->message),
					 errhint("Call activity.maintain().")));
		FreeErrorData(error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
}

/* This month and the last one ahead; false if all of them are covered. */
static bool
is_ahead_missing(ActMonth *first, ActMonth *last)
{
	List	   *partitions = act_partition_list();
	bool		missing = false;

	*first = act_partition_month(GetCurrentTimestamp());
	*last = *first + act_setting_partitions_ahead;
	for (ActMonth month = *first; month <= *last && !missing; month++)
		missing = !act_partition_covers(partitions, month);
	list_free_deep(partitions);
	return missing;
}

/* Makes what is missing of these months; throws if a lock is taken. */
static void
make_ahead(ActMonth first, ActMonth last)
{
	List	   *partitions;

	if (!ConditionalLockRelationOid(act_upkeep_table("event"),
									ShareUpdateExclusiveLock) ||
		!ConditionalLockRelationOid(act_upkeep_table("event_default"),
									AccessExclusiveLock))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("the events are in use")));
	partitions = act_partition_list();
	for (ActMonth month = first; month <= last; month++)
	{
		ActNewPartition new = {month};
		int64		rows;

		if (act_partition_covers(partitions, month) ||
			act_partition_name_is_taken(month))
			continue;
		rows = count_default(act_partition_start(month),
							 act_partition_start(month + 1), SETUP_ROWS + 1);
		if (rows > SETUP_ROWS)
			continue;
		act_partition_prepare(&new, rows > 0);
		act_partition_attach(&new);
	}
}
