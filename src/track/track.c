/*
 * track/track.c
 *		activity.track() and untrack(): the triggers on a table.
 *
 * All that a table is tracked by stands in the argument of its row trigger, so
 * that a dump, a renamed table and a new partition carry it without a table of
 * ours that could disagree.
 */
#include "activity.h"

#include "base/compat.h"
#include "event/month.h"
#include "track/preset.h"
#include "track/spread.h"
#include "taxonomy/taxonomy.h"
#include "track/follow_tier.h"
#include "track/trigger.h"

#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/uuid.h"

static Relation open_trackable(Oid relid, LOCKMODE lock);
pg_noreturn static void refuse(Relation table, const char *why);
static void set_up(Relation table, ActTracking *tracking, bool strict);
static void track_shards(FunctionCallInfo fcinfo, const char *on_unknown);
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
	int			level;

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

	table = open_trackable(PG_GETARG_OID(0), ShareRowExclusiveLock);
	level = act_spread_begin();
	tracking = act_preset_resolve(table, category,
								  PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2),
								  PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3));
	set_up(table, tracking, strcmp(on_unknown, "error") == 0);
	table_close(table, NoLock);
	act_tracking_trigger_enable(PG_GETARG_OID(0), category, tracking->replica);
	act_spread_end(level);
	track_shards(fcinfo, on_unknown);
	act_partition_ensure_ahead();
	return_rules((ReturnSetInfo *) fcinfo->resultinfo, tracking);
	return (Datum) 0;
}

/* untrack(tracked) - the table keeps no trigger of ours. */
PGDLLEXPORT Datum
act_untrack(PG_FUNCTION_ARGS)
{
	Relation	table;
	int			level;

	PreventCommandIfReadOnly("activity.untrack()");
	table = open_trackable(PG_GETARG_OID(0), AccessExclusiveLock);
	level = act_spread_begin();
	act_tracking_trigger_drop(table);
	act_spread_end(level);
	table_close(table, NoLock);
	act_spread_run(PG_GETARG_OID(0), "SELECT activity.untrack(%1$L)");
	PG_RETURN_VOID();
}

/* The same call for each shard, if it is a table of Citus. */
static void
track_shards(FunctionCallInfo fcinfo, const char *on_unknown)
{
	char	   *texts[2] = {NULL, NULL};

	for (int i = 0; i < 2; i++)
		if (!PG_ARGISNULL(2 + i))
		{
			Jsonb	   *value = PG_GETARG_JSONB_P(2 + i);

			texts[i] = JsonbToCString(NULL, &value->root, VARSIZE(value));
		}
	act_spread_run(PG_GETARG_OID(0),
				   psprintf("SELECT count(*) FROM activity.track(_activity.settle_shard(%%1$L), %s, %s, %s, %s)",
							act_spread_literal(text_to_cstring(PG_GETARG_TEXT_PP(1))),
							act_spread_literal(texts[0]), act_spread_literal(texts[1]),
							act_spread_literal(on_unknown)));
}

/*
 * The table, locked; throws unless it is the caller's and of a
 * kind that can be tracked.
 */
static Relation
open_trackable(Oid relid, LOCKMODE lock)
{
	Relation	table = try_table_open(relid, lock);

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
	StringInfoData argument;

	tracking->strict = strict;
	tracking->id = DatumGetCString(DirectFunctionCall1(uuid_out,
													   OidFunctionCall0(F_GEN_RANDOM_UUID)));
	initStringInfo(&argument);
	act_tracking_write(&argument, tracking);
	act_tracking_trigger_make(table, tracking->category, argument.data);
	if (tracking->tier_name)
		act_tracking_tier_adopt(table, argument.data);
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
