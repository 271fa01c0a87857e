/*
 * track/table_ddl.c
 *		Tracked tables while they are altered: event triggers.
 *
 * A trigger's argument names columns.  When one is renamed, the argument follows
 * in the same transaction; when one is dropped that recording needs, the DROP
 * fails, and one that it can do without is forgotten.
 */
#include "activity.h"

#include "track/plan.h"
#include "track/trigger.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "commands/event_trigger.h"
#include "executor/spi.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"

/* What happened to a column; new_name is NULL when it was dropped. */
typedef struct ColumnChange
{
	const char *table;
	const char *name;
	const char *new_name;
} ColumnChange;

static void follow(Oid relid, const ColumnChange *change);
static void follow_trigger(Relation pg_trigger, HeapTuple tuple,
						   const ColumnChange *change);
static bool rename_column(ActTracking *tracking, const ColumnChange *change);
static bool forget_column(ActTracking *tracking, const ColumnChange *change);
static bool needs(const ActTracking *tracking, const char *name);
static void watch_partition(RangeVar *name);

PG_FUNCTION_INFO_V1(act_follow_alter);
PG_FUNCTION_INFO_V1(act_follow_drop);

/* follow_alter() - at ddl_command_end of ALTER TABLE and CREATE TABLE. */
PGDLLEXPORT Datum
act_follow_alter(PG_FUNCTION_ARGS)
{
	Node	   *tree;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("follow_alter() is an event trigger function")));
	tree = ((EventTriggerData *) fcinfo->context)->parsetree;
	if (IsA(tree, RenameStmt) &&
		((RenameStmt *) tree)->renameType == OBJECT_COLUMN)
	{
		RenameStmt *statement = (RenameStmt *) tree;
		Oid			relid = RangeVarGetRelid(statement->relation, NoLock, true);
		ColumnChange change = {statement->relation->relname, statement->subname,
		statement->newname};
		ListCell   *cell;

		if (OidIsValid(relid))
			foreach(cell, find_all_inheritors(relid, NoLock, NULL))
				follow(lfirst_oid(cell), &change);
	}
	else if (IsA(tree, AlterTableStmt))
	{
		ListCell   *cell;

		foreach(cell, ((AlterTableStmt *) tree)->cmds)
		{
			AlterTableCmd *command = lfirst(cell);

			if (command->subtype == AT_AttachPartition)
				watch_partition(((PartitionCmd *) command->def)->name);
		}
	}
	else if (IsA(tree, CreateStmt) && ((CreateStmt *) tree)->partbound)
		watch_partition(((CreateStmt *) tree)->relation);
	PG_RETURN_NULL();
}

/* follow_drop() - at sql_drop of what can drop a column. */
PGDLLEXPORT Datum
act_follow_drop(PG_FUNCTION_ARGS)
{
	uint64		i;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("follow_drop() is an event trigger function")));
	SPI_connect();
	if (SPI_execute("SELECT d.objid, d.address_names[2], d.address_names[3]"
					" FROM pg_catalog.pg_event_trigger_dropped_objects() d"
					" WHERE d.object_type OPERATOR(pg_catalog.=) 'table column'",
					true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read what was dropped");
	for (i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		ColumnChange change = {
			SPI_getvalue(tuple, desc, 2), SPI_getvalue(tuple, desc, 3), NULL
		};

		follow(DatumGetObjectId(SPI_getbinval(tuple, desc, 1, &isnull)), &change);
	}
	SPI_finish();
	PG_RETURN_NULL();
}

/* Brings the row triggers of a table up to date. */
static void
follow(Oid relid, const ColumnChange *change)
{
	Relation	pg_trigger = table_open(TriggerRelationId, RowExclusiveLock);
	Oid			function = act_tracking_plan_function();
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(pg_trigger, TriggerRelidNameIndexId, true, NULL, 1,
							  &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		if (((Form_pg_trigger) GETSTRUCT(tuple))->tgfoid == function)
			follow_trigger(pg_trigger, tuple, change);
	systable_endscan(scan);
	table_close(pg_trigger, RowExclusiveLock);
	CommandCounterIncrement();
}

static void
follow_trigger(Relation pg_trigger, HeapTuple tuple, const ColumnChange *change)
{
	char	   *argument = act_tracking_trigger_argument(pg_trigger, tuple);
	ActTracking *tracking;
	StringInfoData written;

	tracking = act_tracking_read_argument(argument, change->table);
	if (!(change->new_name ? rename_column(tracking, change) :
		  forget_column(tracking, change)))
		return;
	initStringInfo(&written);
	act_tracking_write(&written, tracking);
	act_tracking_trigger_rewrite(pg_trigger, tuple, written.data);
}

/* False when the tracking doesn't name the column. */
static bool
rename_column(ActTracking *tracking, const ColumnChange *change)
{
	bool		found = false;
	ListCell   *cell;
	ListCell   *name;

	foreach(cell, tracking->sources)
		foreach(name, ((ActSource *) lfirst(cell))->columns)
			if (strcmp(lfirst(name), change->name) == 0)
			{
				lfirst(name) = pstrdup(change->new_name);
				found = true;
			}
	foreach(name, tracking->ignored)
		if (strcmp(lfirst(name), change->name) == 0)
		{
			lfirst(name) = pstrdup(change->new_name);
			found = true;
		}
	return found;
}

/* As above; throws for a column that recording needs. */
static bool
forget_column(ActTracking *tracking, const ColumnChange *change)
{
	bool		found = false;
	ListCell   *cell;

	foreach(cell, tracking->sources)
	{
		ActSource  *source = lfirst(cell);

		if (!act_tracking_has_word(source->columns, change->name))
			continue;
		if (needs(tracking, source->name))
			ereport(ERROR,
					(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
					 errmsg("cannot drop column \"%s\": table \"%s\", tracked as \"%s\", needs it",
							change->name, change->table, tracking->category),
					 errdetail("It says the \"%s\".", source->name),
					 errhint("First call activity.untrack(), or activity.track() with another column for it.")));
		tracking->sources = foreach_delete_current(tracking->sources, cell);
		found = true;
	}
	return found;
}

/* Whether events depend on the name; fields that may be absent do not. */
static bool
needs(const ActTracking *tracking, const char *name)
{
	ListCell   *cell;
	ListCell   *part;

	if (strcmp(name, "organization") == 0 || strcmp(name, "id") == 0 ||
		act_tracking_has_word(tracking->identity, name) ||
		(tracking->tier_name && strcmp(tracking->tier_name, name) == 0))
		return true;
	foreach(cell, tracking->machines)
		foreach(part, ((ActStateMachine *) lfirst(cell))->tests)
		{
			ActStateTest *test = lfirst(part);

			if (test->name && strcmp(test->name, name) == 0)
				return true;
		}
	foreach(cell, tracking->rules)
	{
		ActRule    *rule = lfirst(cell);

		if (act_tracking_has_word(rule->changed, name))
			return true;
		foreach(part, rule->conditions)
			if (strcmp(((ActCondition *) lfirst(part))->name, name) == 0)
				return true;
		if (act_tracking_requires(rule, name))
			return true;
	}
	return false;
}

static void
watch_partition(RangeVar *name)
{
	Oid			relid = RangeVarGetRelid(name, NoLock, true);
	Relation	partition;

	if (!OidIsValid(relid))
		return;
	partition = table_open(relid, ShareRowExclusiveLock);
	if (act_tracking_trigger_has(partition, "capture_row", false))
		act_tracking_trigger_watch_truncate(partition);
	table_close(partition, NoLock);
}
