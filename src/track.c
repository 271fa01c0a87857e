/*
 * track.c
 *		activity.track() and untrack(): the triggers on a table.
 *
 * All that a table is tracked by stands in the argument of its row trigger, so
 * that a dump, a renamed table and a new partition carry it without a table of
 * ours that could disagree.
 */
#include "activity.h"

#include "compat.h"
#include "partition.h"
#include "preset.h"
#include "row_scan.h"
#include "taxonomy.h"
#include "tracking_tier.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/scansup.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/uuid.h"

#define BEGIN_TRIGGER "activity_begin"
#define END_TRIGGER "activity_end"
#define TRUNCATE_TRIGGER "activity_truncate"

static Relation open_trackable(Oid relid);
pg_noreturn static void refuse(Relation table, const char *why);
static void set_up(Relation table, ActTracking *tracking, bool strict);
static char *row_trigger_name(const char *category);
static Oid	helper(const char *name);
static void make_trigger(Relation table, const char *name, Oid function,
						 int16 timing, int16 events, bool row, char *argument);
static void drop_triggers(Relation table, const char *name);
static void enable_always(Relation table, const char *name);
static void run(const char *command);
static char *name_of(Relation table);
static void return_rules(ReturnSetInfo *result, const ActTracking *tracking);

PG_FUNCTION_INFO_V1(act_track);
PG_FUNCTION_INFO_V1(act_untrack);

/* track(tracked, category, columns, rules, on_unknown) */
PGDLLEXPORT Datum
act_track(PG_FUNCTION_ARGS)
{
	Relation	table;
	ActTracking *tracking;
	char	   *category;
	char	   *on_unknown = "warn";

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("track() needs a table and a category")));
	PreventCommandIfReadOnly("activity.track()");
	InitMaterializedSRF(fcinfo, 0);
	if (!PG_ARGISNULL(4))
		on_unknown = text_to_cstring(PG_GETARG_TEXT_PP(4));
	if (strcmp(on_unknown, "warn") != 0 && strcmp(on_unknown, "error") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("on_unknown is \"warn\" or \"error\", not \"%s\"",
						on_unknown)));
	category = text_to_cstring(PG_GETARG_TEXT_PP(1));
	category = act_tracking_fold(category, strlen(category));

	table = open_trackable(PG_GETARG_OID(0));
	tracking = act_preset_resolve(table, category,
								  PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2),
								  PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3));
	set_up(table, tracking, strcmp(on_unknown, "error") == 0);
	table_close(table, NoLock);
	act_partition_ensure_ahead();
	return_rules((ReturnSetInfo *) fcinfo->resultinfo, tracking);
	return (Datum) 0;
}

/* untrack(tracked) - the table keeps no trigger of ours. */
PGDLLEXPORT Datum
act_untrack(PG_FUNCTION_ARGS)
{
	Relation	table;

	PreventCommandIfReadOnly("activity.untrack()");
	table = open_trackable(PG_GETARG_OID(0));
	drop_triggers(table, NULL);
	table_close(table, NoLock);
	PG_RETURN_VOID();
}

/*
 * The table, locked against writers; throws unless it is the caller's and of a
 * kind that can be tracked.
 */
static Relation
open_trackable(Oid relid)
{
	Relation	table = try_table_open(relid, ShareRowExclusiveLock);

	if (table == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("there is no table with OID %u", relid)));
	if (!act_compat_owns_relation(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER,
					   get_relkind_objtype(table->rd_rel->relkind),
					   RelationGetRelationName(table));
	if (table->rd_rel->relkind != RELKIND_RELATION &&
		table->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		refuse(table, "it is no table whose rows change here");
	if (table->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		refuse(table, "it is temporary");
	if (IsSystemRelation(table) ||
		RelationGetNamespace(table) == get_namespace_oid("_activity", false))
		refuse(table, "it belongs to the system");
	return table;
}

static void
refuse(Relation table, const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_ACT_UNTRACKABLE),
			 errmsg("cannot track \"%s\": %s", RelationGetRelationName(table),
					why)));
	pg_unreachable();
}

/* Makes the triggers, in the place of those that the category has already. */
static void
set_up(Relation table, ActTracking *tracking, bool strict)
{
	char	   *name = row_trigger_name(tracking->category);
	StringInfoData argument;

	tracking->strict = strict;
	tracking->id = DatumGetCString(DirectFunctionCall1(uuid_out,
													   OidFunctionCall0(F_GEN_RANDOM_UUID)));
	initStringInfo(&argument);
	act_tracking_write(&argument, tracking);

	drop_triggers(table, name);
	make_trigger(table, name, act_tracking_plan_function(), 0,
				 TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE,
				 true, argument.data);
	make_trigger(table, BEGIN_TRIGGER, helper("capture_begin"),
				 TRIGGER_TYPE_BEFORE,
				 TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE,
				 false, NULL);
	make_trigger(table, END_TRIGGER, helper("capture_end"), 0,
				 TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE,
				 false, NULL);
	make_trigger(table, TRUNCATE_TRIGGER, helper("capture_truncate"),
				 TRIGGER_TYPE_BEFORE, TRIGGER_TYPE_TRUNCATE, false, NULL);
	if (tracking->replica)
	{
		enable_always(table, name);
		enable_always(table, BEGIN_TRIGGER);
		enable_always(table, END_TRIGGER);
		enable_always(table, TRUNCATE_TRIGGER);
	}
	if (tracking->tier_name)
		act_tracking_tier_adopt(table, argument.data);
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
helper(const char *name)
{
	oidvector  *arguments = buildoidvector(NULL, 0);
	Oid			function;

	function = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
							   CStringGetDatum(name),
							   PointerGetDatum(arguments),
							   ObjectIdGetDatum(get_namespace_oid("_activity", false)));
	if (!OidIsValid(function))
		elog(ERROR, "function _activity.%s() does not exist", name);
	return function;
}

/*
 * A trigger, unless the table has one of that name.  Not by SQL, which would
 * look up the function by its name and ask the caller for a right on _activity.
 */
static void
make_trigger(Relation table, const char *name, Oid function, int16 timing,
			 int16 events, bool row, char *argument)
{
	CreateTrigStmt *statement;

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
	(void) CreateTrigger(statement, NULL, RelationGetRelid(table), InvalidOid,
						 InvalidOid, InvalidOid, function, InvalidOid, NULL,
						 false, false);
	CommandCounterIncrement();
}

/* The row trigger of that name; NULL: all triggers of ours. */
static void
drop_triggers(Relation table, const char *name)
{
	List	   *names = NIL;
	ListCell   *cell;
	Oid			functions[4];
	int			i;
	int			j;

	functions[0] = act_tracking_plan_function();
	functions[1] = helper("capture_begin");
	functions[2] = helper("capture_end");
	functions[3] = helper("capture_truncate");
	for (i = 0; table->trigdesc && i < table->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &table->trigdesc->triggers[i];

		for (j = 0; j < lengthof(functions); j++)
			if (trigger->tgfoid == functions[j] &&
				(name == NULL || strcmp(trigger->tgname, name) == 0))
			{
				if (trigger->tgisclone)
					refuse(table, "it is a partition of a tracked table");
				names = lappend(names, pstrdup(trigger->tgname));
			}
	}
	foreach(cell, names)
		run(psprintf("DROP TRIGGER %s ON %s",
					 quote_identifier(lfirst(cell)), name_of(table)));
}

static void
enable_always(Relation table, const char *name)
{
	run(psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER %s", name_of(table),
				 quote_identifier(name)));
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

static void
return_rules(ReturnSetInfo *result, const ActTracking *tracking)
{
	ListCell   *cell;

	foreach(cell, tracking->rules)
	{
		ActRule    *rule = lfirst(cell);
		StringInfoData operations;
		Datum		values[3];
		bool		nulls[3] = {false};

		initStringInfo(&operations);
		if (rule->operations & ACT_ON_INSERT)
			appendStringInfoString(&operations, ", INSERT");
		if (rule->operations & ACT_ON_UPDATE)
			appendStringInfoString(&operations, ", UPDATE");
		if (rule->operations & ACT_ON_DELETE)
			appendStringInfoString(&operations, ", DELETE");
		values[0] = CStringGetTextDatum(operations.data + 2);
		values[1] = CStringGetTextDatum(act_tracking_condition(tracking, rule));
		values[2] = Int32GetDatum(act_taxonomy_require(rule->event,
													   strlen(rule->event))->code);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}
