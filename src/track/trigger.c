/*
 * track/trigger.c
 *		The triggers of ours on a table.
 *
 * Row triggers are cloned by the server to every partition, also to those that
 * come later.  Statement triggers are not: BEFORE TRUNCATE is put on each
 * partition here, and by tracked_table_ddl.c on later ones.
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
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/scansup.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#define BEGIN_TRIGGER "activity_begin"
#define END_TRIGGER "activity_end"
#define TRUNCATE_TRIGGER "activity_truncate"

#define ANY_CHANGE \
	(TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE)

static char *row_trigger_name(const char *category);
static Oid	find_function(const char *name);
static void make_trigger(Relation table, const char *name, Oid function,
						 int16 timing, int16 events, bool row, char *argument);
static bool replace_argument(Relation table, const char *name,
							 const char *argument);
static void replace_in(Relation pg_trigger, Oid relid, const char *old,
					   const char *argument);
static void refuse_clone(Relation table, const Trigger *trigger);
static void drop_all(Relation table, Oid function);
static void enable(Oid relid, const char *name, bool replica);
static void run(const char *command);
static char *name_of(Relation table);

void
act_tracking_trigger_make(Relation table, const char *category, char *argument)
{
	char	   *name = row_trigger_name(category);

	if (!replace_argument(table, name, argument))
		make_trigger(table, name, find_function("capture_row"), 0, ANY_CHANGE,
					 true, argument);
	make_trigger(table, BEGIN_TRIGGER, find_function("capture_begin"),
				 TRIGGER_TYPE_BEFORE, ANY_CHANGE, false, NULL);
	make_trigger(table, END_TRIGGER, find_function("capture_end"), 0,
				 ANY_CHANGE, false, NULL);
	act_tracking_trigger_watch_truncate(table);
}

void
act_tracking_trigger_enable(Oid relid, const char *category, bool replica)
{
	ListCell   *cell;

	enable(relid, row_trigger_name(category), replica);
	if (!replica)
		return;
	enable(relid, BEGIN_TRIGGER, true);
	enable(relid, END_TRIGGER, true);
	enable(relid, TRUNCATE_TRIGGER, true);
	if (get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE)
		return;
	foreach(cell, find_all_inheritors(relid, NoLock, NULL))
		if (OidIsValid(get_trigger_oid(lfirst_oid(cell), TRUNCATE_TRIGGER, true)))
			enable(lfirst_oid(cell), TRUNCATE_TRIGGER, true);
}

char *
act_tracking_trigger_argument(Relation pg_trigger, HeapTuple tuple)
{
	bool		isnull;
	Datum		arguments = heap_getattr(tuple, Anum_pg_trigger_tgargs,
										 RelationGetDescr(pg_trigger), &isnull);

	/* It ends with a zero byte, unless somebody's trigger has none. */
	if (isnull || VARSIZE_ANY_EXHDR(DatumGetByteaPP(arguments)) == 0)
		return "{}";
	return pstrdup(VARDATA_ANY(DatumGetByteaPP(arguments)));
}

void
act_tracking_trigger_rewrite(Relation pg_trigger, HeapTuple tuple,
							 const char *argument)
{
	Datum		values[Natts_pg_trigger];
	bool		nulls[Natts_pg_trigger] = {false};
	bool		replaces[Natts_pg_trigger] = {false};
	HeapTuple	changed;

	values[Anum_pg_trigger_tgargs - 1] =
		PointerGetDatum(cstring_to_text_with_len(argument, strlen(argument) + 1));
	replaces[Anum_pg_trigger_tgargs - 1] = true;
	values[Anum_pg_trigger_tgnargs - 1] = Int16GetDatum(1);
	replaces[Anum_pg_trigger_tgnargs - 1] = true;
	changed = heap_modify_tuple(tuple, RelationGetDescr(pg_trigger), values,
								nulls, replaces);
	CatalogTupleUpdate(pg_trigger, &tuple->t_self, changed);
	CacheInvalidateRelcacheByRelid(((Form_pg_trigger) GETSTRUCT(tuple))->tgrelid);
}

void
act_tracking_trigger_drop(Relation table)
{
	List	   *partitions;
	ListCell   *cell;

	drop_all(table, find_function("capture_row"));
	drop_all(table, find_function("capture_begin"));
	drop_all(table, find_function("capture_end"));
	partitions = table->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ?
		find_all_inheritors(RelationGetRelid(table), ShareRowExclusiveLock, NULL) :
		list_make1_oid(RelationGetRelid(table));
	foreach(cell, partitions)
	{
		Relation	partition = table_open(lfirst_oid(cell), NoLock);

		drop_all(partition, find_function("capture_truncate"));
		table_close(partition, NoLock);
	}
}

void
act_tracking_trigger_watch_truncate(Relation table)
{
	Oid			function = find_function("capture_truncate");
	List	   *partitions;
	ListCell   *cell;

	partitions = table->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ?
		find_all_inheritors(RelationGetRelid(table), ShareRowExclusiveLock, NULL) :
		list_make1_oid(RelationGetRelid(table));
	foreach(cell, partitions)
	{
		Relation	partition = table_open(lfirst_oid(cell), NoLock);

		if (partition->rd_rel->relkind == RELKIND_RELATION ||
			partition->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
			make_trigger(partition, TRUNCATE_TRIGGER, function,
						 TRIGGER_TYPE_BEFORE, TRIGGER_TYPE_TRUNCATE, false,
						 NULL);
		table_close(partition, NoLock);
	}
}

bool
act_tracking_trigger_fires(const Trigger *trigger)
{
	return trigger->tgenabled == TRIGGER_FIRES_ALWAYS ||
		trigger->tgenabled ==
		(SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA ?
		 TRIGGER_FIRES_ON_REPLICA : TRIGGER_FIRES_ON_ORIGIN);
}

bool
act_tracking_trigger_has(Relation table, const char *function, bool firing)
{
	Oid			wanted = find_function(function);
	int			i;

	for (i = 0; table->trigdesc && i < table->trigdesc->numtriggers; i++)
		if (table->trigdesc->triggers[i].tgfoid == wanted &&
			(!firing ||
			 act_tracking_trigger_fires(&table->trigdesc->triggers[i])))
			return true;
	return false;
}

/* activity_<category>, short enough for a name. */
static char *
row_trigger_name(const char *category)
{
	char	   *name = psprintf("activity_%s", category);

	if (strcmp(name, BEGIN_TRIGGER) == 0 || strcmp(name, END_TRIGGER) == 0 ||
		strcmp(name, TRUNCATE_TRIGGER) == 0)
		name = psprintf("%s_row", name);
	truncate_identifier(name, strlen(name), false);
	return name;
}

static Oid
find_function(const char *name)
{
	Oid			function;

	function = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
							   CStringGetDatum(name),
							   PointerGetDatum(buildoidvector(NULL, 0)),
							   ObjectIdGetDatum(get_namespace_oid("_activity",
																  false)));
	if (!OidIsValid(function))
		elog(ERROR, "function _activity.%s() does not exist", name);
	return function;
}

/*
 * A trigger, unless the table has one of that name.  As the superuser, since
 * whoever owns the table needs no right on our functions; not by SQL, which
 * would look the function up by its name.
 */
static void
make_trigger(Relation table, const char *name, Oid function, int16 timing,
			 int16 events, bool row, char *argument)
{
	CreateTrigStmt *statement;
	Oid			user;
	int			context;

	if (OidIsValid(get_trigger_oid(RelationGetRelid(table), name, true)))
		return;
	statement = makeNode(CreateTrigStmt);
	statement->trigname = pstrdup(name);
	statement->relation = makeRangeVar(get_namespace_name(RelationGetNamespace(table)),
									   pstrdup(RelationGetRelationName(table)), -1);
	statement->funcname = list_make2(makeString("_activity"),
									 makeString(get_func_name(function)));
	statement->args = argument ? list_make1(makeString(argument)) : NIL;
	statement->row = row;
	statement->timing = timing;
	statement->events = events;
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID,
						   context | SECURITY_LOCAL_USERID_CHANGE);
	(void) CreateTrigger(statement, NULL, RelationGetRelid(table), InvalidOid,
						 InvalidOid, InvalidOid, function, InvalidOid, NULL,
						 false, false);
	SetUserIdAndSecContext(user, context);
	CommandCounterIncrement();
}

/*
 * Gives the trigger of that name another argument, those that partitions have of
 * it included; false when there is none.
 */
static bool
replace_argument(Relation table, const char *name, const char *argument)
{
	Oid			function = find_function("capture_row");
	Relation	pg_trigger;
	Trigger    *trigger = NULL;
	char	   *old;
	List	   *relids = list_make1_oid(RelationGetRelid(table));
	ListCell   *cell;
	int			i;

	for (i = 0; table->trigdesc && i < table->trigdesc->numtriggers; i++)
		if (table->trigdesc->triggers[i].tgfoid == function &&
			strcmp(table->trigdesc->triggers[i].tgname, name) == 0)
			trigger = &table->trigdesc->triggers[i];
	if (trigger == NULL)
		return false;
	refuse_clone(table, trigger);
	old = pstrdup(trigger->tgnargs > 0 ? trigger->tgargs[0] : "{}");
	if (table->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		relids = find_all_inheritors(RelationGetRelid(table),
									 ShareRowExclusiveLock, NULL);
	pg_trigger = table_open(TriggerRelationId, RowExclusiveLock);
	foreach(cell, relids)
		replace_in(pg_trigger, lfirst_oid(cell), old, argument);
	table_close(pg_trigger, RowExclusiveLock);
	CommandCounterIncrement();
	return true;
}

static void
replace_in(Relation pg_trigger, Oid relid, const char *old,
		   const char *argument)
{
	Oid			function = find_function("capture_row");
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(pg_trigger, TriggerRelidNameIndexId, true, NULL, 1,
							  &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		if (((Form_pg_trigger) GETSTRUCT(tuple))->tgfoid == function &&
			strcmp(act_tracking_trigger_argument(pg_trigger, tuple), old) == 0)
			act_tracking_trigger_rewrite(pg_trigger, tuple, argument);
	systable_endscan(scan);
}

static void
refuse_clone(Relation table, const Trigger *trigger)
{
	if (trigger->tgisclone)
		ereport(ERROR,
				(errcode(ERRCODE_ACT_UNTRACKABLE),
				 errmsg("\"%s\" is a partition of a tracked table",
						RelationGetRelationName(table)),
				 errhint("Track or untrack the partitioned table.")));
}

/* Drops the triggers that run the function. */
static void
drop_all(Relation table, Oid function)
{
	List	   *names = NIL;
	ListCell   *cell;
	int			i;

	for (i = 0; table->trigdesc && i < table->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &table->trigdesc->triggers[i];

		if (trigger->tgfoid != function)
			continue;
		refuse_clone(table, trigger);
		names = lappend(names, pstrdup(trigger->tgname));
	}
	foreach(cell, names)
		run(psprintf("DROP TRIGGER %s ON %s",
					 quote_identifier(lfirst(cell)), name_of(table)));
}

/* Only if need be: ALTER TABLE refuses a table that the session works with. */
static void
enable(Oid relid, const char *name, bool replica)
{
	Relation	table = table_open(relid, NoLock);
	char		wanted = replica ? TRIGGER_FIRES_ALWAYS : TRIGGER_FIRES_ON_ORIGIN;
	bool		is_so = false;
	int			i;

	for (i = 0; table->trigdesc && i < table->trigdesc->numtriggers; i++)
		if (strcmp(table->trigdesc->triggers[i].tgname, name) == 0)
			is_so = table->trigdesc->triggers[i].tgenabled == wanted;
	table_close(table, NoLock);
	if (is_so)
		return;
	run(psprintf("ALTER TABLE %s ENABLE%s TRIGGER %s",
				 quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
											get_rel_name(relid)),
				 replica ? " ALWAYS" : "", quote_identifier(name)));
}

/* Runs as the caller, who owns the table. */
static void
run(const char *command)
{
	SPI_connect();
	if (SPI_execute(command, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not run \"%s\"", command);
	SPI_finish();
}

static char *
name_of(Relation table)
{
	return quote_qualified_identifier(get_namespace_name(RelationGetNamespace(table)),
									  RelationGetRelationName(table));
}
