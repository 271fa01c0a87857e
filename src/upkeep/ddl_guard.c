/*
 * upkeep/ddl_guard.c
 *		Nothing is planted on the extension's tables, and its functions stay as
 *		they are.
 *
 * The owner of the tables, who need not be a superuser, may do any DDL on them.
 * What planted.c refuses when we write is refused here when it is made, because
 * some of it takes no writing at all: a constant in an index's expression is
 * computed whenever somebody's query is planned, by views of ours, too.  An event
 * trigger belongs to a superuser, and no setting of anybody else's goes around
 * it.
 */
#include "activity.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/own_table_guard.h"
#include "event/owner.h"
#include "upkeep/shape_guard.h"

/* What is put on a table, and the column that says on which. */
static const struct
{
	Oid			catalog;
	Oid			oid_index;
	AttrNumber	oid;
	AttrNumber	relation;
}			additions[] = {
	{TriggerRelationId, TriggerOidIndexId, Anum_pg_trigger_oid, Anum_pg_trigger_tgrelid},
	{RewriteRelationId, RewriteOidIndexId, Anum_pg_rewrite_oid, Anum_pg_rewrite_ev_class},
	{PolicyRelationId, PolicyOidIndexId, Anum_pg_policy_oid, Anum_pg_policy_polrelid},
	{StatisticExtRelationId, StatisticExtOidIndexId, Anum_pg_statistic_ext_oid,
	Anum_pg_statistic_ext_stxrelid}
};

static void check_function(Oid function, Oid private);
static void check_relation(Oid relid, Oid private);
static void check_ancestors(Oid relid, Oid private);
static void check_tree(Oid relid);
static bool is_table(Relation rel);
static Oid	relation_of(Oid catalog, Oid object);
static Oid	oid_in(Oid catalog, Oid index, AttrNumber key, Oid value,
				   AttrNumber wanted);

PG_FUNCTION_INFO_V1(act_guard_ddl);

/*
 * guard_ddl() - at the end of every command; throws 55000 for what is put on our
 * tables or changes their shape, and 42501 when somebody else than a superuser changes our functions.
 */
PGDLLEXPORT Datum
act_guard_ddl(PG_FUNCTION_ARGS)
{
	Oid			private = get_namespace_oid("_activity", true);

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("guard_ddl() is an event trigger function")));
	if (creating_extension || IsBinaryUpgrade || act_upkeep_is_ours())
		PG_RETURN_NULL();

	SPI_connect();
	if (SPI_execute("SELECT d.classid, d.objid, d.command"
					" FROM pg_catalog.pg_event_trigger_ddl_commands() d"
					" WHERE d.objid OPERATOR(pg_catalog.<>) 0"
					" AND d.command_tag OPERATOR(pg_catalog.<>) 'COMMENT'",
					true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read what was done");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		Oid			catalog = DatumGetObjectId(SPI_getbinval(row, desc, 1, &isnull));
		Oid			object = DatumGetObjectId(SPI_getbinval(row, desc, 2, &isnull));
		Datum		command = SPI_getbinval(row, desc, 3, &isnull);

		if (catalog == ProcedureRelationId)
			check_function(object, private);
		else if (OidIsValid(private))
			check_relation(relation_of(catalog, object), private);
		act_shape_check((const CollectedCommand *) DatumGetPointer(command),
						catalog, object);
	}
	SPI_finish();
	PG_RETURN_NULL();
}

static void
check_function(Oid function, Oid private)
{
	Oid			namespace = get_func_namespace(function);

	if (superuser() ||
		(namespace != private &&
		 namespace != get_namespace_oid("activity", true) &&
		 getExtensionOfObject(ProcedureRelationId, function) !=
		 get_extension_oid("activity", true)))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("function \"%s\" can't be made or changed: it is, or would be taken for, one of extension \"activity\"",
					get_func_name(function)),
			 errhint("Make functions of your own in another schema.")));
}

/* Checks a table of ours, or what a command has tied to one of ours. */
static void
check_relation(Oid relid, Oid private)
{
	Relation	rel = OidIsValid(relid) ? try_relation_open(relid, AccessShareLock) : NULL;
	ListCell   *cell;

	if (rel == NULL)
		return;
	if (is_table(rel))
	{
		check_ancestors(relid, private);
		foreach(cell, RelationGetFKeyList(rel))
		{
			Oid			referenced = ((ForeignKeyCacheInfo *) lfirst(cell))->confrelid;

			if (referenced != relid)
				check_ancestors(referenced, private);
		}
	}
	relation_close(rel, AccessShareLock);
}

/* Checks the table if it is ours, and all of ours that it is a child of. */
static void
check_ancestors(Oid relid, Oid private)
{
	Relation	pg_inherits;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (get_rel_namespace(relid) == private)
		check_tree(relid);
	pg_inherits = table_open(InheritsRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(pg_inherits, InheritsRelidSeqnoIndexId, true, NULL,
							  1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		check_ancestors(((Form_pg_inherits) GETSTRUCT(tuple))->inhparent, private);
	systable_endscan(scan);
	table_close(pg_inherits, AccessShareLock);
}

static bool
is_table(Relation rel)
{
	return rel->rd_rel->relkind == RELKIND_RELATION ||
		rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ||
		rel->rd_rel->relkind == RELKIND_FOREIGN_TABLE;
}

/*
 * Checks a table and its partitions, but waits for no lock: whoever has one that
 * is in the way of reading does DDL of his own there, which is looked at, too.
 */
static void
check_tree(Oid relid)
{
	ListCell   *cell;

	foreach(cell, find_all_inheritors(relid, NoLock, NULL))
	{
		Relation	rel;

		if (!ConditionalLockRelationOid(lfirst_oid(cell), AccessShareLock))
			continue;
		rel = try_relation_open(lfirst_oid(cell), NoLock);
		if (rel != NULL)
		{
			act_planted_check(rel);
			relation_close(rel, NoLock);
		}
		UnlockRelationOid(lfirst_oid(cell), AccessShareLock);
	}
}

/* The table that an object is on, or is; InvalidOid: none. */
static Oid
relation_of(Oid catalog, Oid object)
{
	if (catalog == RelationRelationId)
	{
		char		kind = get_rel_relkind(object);

		if (kind == RELKIND_INDEX || kind == RELKIND_PARTITIONED_INDEX)
			return IndexGetRelation(object, true);
		return object;
	}
	for (int i = 0; i < lengthof(additions); i++)
		if (additions[i].catalog == catalog)
			return oid_in(catalog, additions[i].oid_index, additions[i].oid,
						  object, additions[i].relation);
	return InvalidOid;
}

/* A column of the catalog's row that the index finds; InvalidOid: no row. */
static Oid
oid_in(Oid catalog, Oid index, AttrNumber key, Oid value, AttrNumber wanted)
{
	Relation	rel = table_open(catalog, AccessShareLock);
	ScanKeyData scankey;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		isnull;
	Oid			found = InvalidOid;

	ScanKeyInit(&scankey, key, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(value));
	scan = systable_beginscan(rel, index, true, NULL, 1, &scankey);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		found = DatumGetObjectId(heap_getattr(tuple, wanted, RelationGetDescr(rel),
											  &isnull));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}
