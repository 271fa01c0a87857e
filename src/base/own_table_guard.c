/*
 * base/own_table_guard.c
 *		What somebody else has put on the extension's own tables.
 *
 * The tables belong to the role that ran CREATE EXTENSION, which need not be a
 * superuser, and who owns a table can have code run by whoever writes to it.  A
 * statement that runs with the owner's rights is no shelter: deferred triggers
 * run at commit as somebody else, and settings stay behind.  So what we write by
 * statements is looked at first.  What is allowed is told by what it does, not
 * by a list of names: our own triggers, and expressions of nothing but built-in
 * immutable functions.
 *
 * Expressions are read from the catalogs as they are stored.  The relcache would
 * simplify them, which is to say: run them.
 */
#include "activity.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_language.h"
#include "catalog/pg_partitioned_table.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "funcapi.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/prs2lock.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/own_table.h"
#include "base/own_table_guard.h"

PG_FUNCTION_INFO_V1(act_check_tables);
PG_FUNCTION_INFO_V1(act_table_problems);

/* The functions of triggers that are ours, each named by its own file. */
#define OURS_MAX 8
static PGFunction ours[OURS_MAX];
static int	nours = 0;

static void check_kind(Relation rel);
static void check_triggers(Relation rel);
static bool is_our_function(Oid function);
static void check_rules(Relation rel);
static void check_columns(Relation rel);
static void check_constraints(Relation rel);
static void check_statistics(Relation rel);
static bool is_plain_index(HeapTuple index);
static bool runs_foreign(Node *node, void *context);
static bool is_foreign(Oid function, void *context);
pg_noreturn static void refuse(Relation rel, const char *what, const char *name,
							   const char *remedy);

/* check_tables(VARIADIC names text[]) - for functions that are written in SQL */
PGDLLEXPORT Datum
act_check_tables(PG_FUNCTION_ARGS)
{
	Datum	   *names;
	int			count;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false,
					  TYPALIGN_INT, &names, NULL, &count);
	for (int i = 0; i < count; i++)
		act_planted_check_table(TextDatumGetCString(names[i]));
	PG_RETURN_VOID();
}

/* table_problems() RETURNS TABLE (relation text, problem text) */
PGDLLEXPORT Datum
act_table_problems(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < ACT_REL_COUNT; i++)
	{
		const char *name;
		const char *problem = act_relation_problem(i, &name);
		Datum		values[2];
		bool		nulls[2] = {false};

		if (problem == NULL)
			continue;
		values[0] = CStringGetTextDatum(name);
		values[1] = CStringGetTextDatum(problem);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

void
act_planted_check_table(const char *name)
{
	Oid			relid = get_relname_relid(name, get_namespace_oid("_activity", false));

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"_activity.%s\" does not exist", name)));
	act_relation_check_version();
	act_planted_check_relid(relid);
}

/* The lock is that of an INSERT, which CREATE TRIGGER and its like wait for. */
void
act_planted_check_relid(Oid relid)
{
	LOCKMODE	lock = RecoveryInProgress() ? AccessShareLock : RowExclusiveLock;
	ListCell   *cell;

	foreach(cell, find_all_inheritors(relid, lock, NULL))
	{
		Relation	rel = relation_open(lfirst_oid(cell), NoLock);

		act_planted_check(rel);
		relation_close(rel, NoLock);
	}
}

void
act_planted_check(Relation rel)
{
	check_kind(rel);
	check_triggers(rel);
	check_rules(rel);
	if (rel->rd_rel->relrowsecurity || rel->rd_rel->relforcerowsecurity)
		refuse(rel, "row security", "on",
			   "ALTER TABLE ... DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY");
	check_columns(rel);
	check_constraints(rel);
	act_planted_check_indexes(rel);
	check_statistics(rel);
}

static void
check_kind(Relation rel)
{
	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
	{
		HeapTuple	tuple = SearchSysCache1(PARTRELID,
											ObjectIdGetDatum(RelationGetRelid(rel)));

		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "table %u has no partition key", RelationGetRelid(rel));
		if (!heap_attisnull(tuple, Anum_pg_partitioned_table_partexprs, NULL))
			refuse(rel, "partition key", "of expressions", "DROP TABLE");
		ReleaseSysCache(tuple);
	}
	else if (rel->rd_rel->relkind != RELKIND_RELATION)
		refuse(rel, "relation", RelationGetRelationName(rel), "DROP");
	else if (rel->rd_rel->relhassubclass)
	{
		List	   *children = find_inheritance_children(RelationGetRelid(rel),
														 NoLock);

		if (children != NIL)
			refuse(rel, "child table", get_rel_name(linitial_oid(children)),
				   "ALTER TABLE ... NO INHERIT");
	}
}

static void
check_triggers(Relation rel)
{
	for (int i = 0; rel->trigdesc != NULL && i < rel->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &rel->trigdesc->triggers[i];

		if (trigger->tgqual != NULL || !is_our_function(trigger->tgfoid))
			refuse(rel, "trigger", trigger->tgname, trigger->tgisinternal ?
				   "ALTER TABLE ... DROP CONSTRAINT for the constraint that it belongs to" :
				   "DROP TRIGGER");
	}
}

/* By the address, since names and owners can be had by others. */
static bool
is_our_function(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	bool		is_c;
	FmgrInfo	info;

	if (!HeapTupleIsValid(tuple))
		return false;
	is_c = ((Form_pg_proc) GETSTRUCT(tuple))->prolang == ClanguageId;
	ReleaseSysCache(tuple);
	if (!is_c)
		return false;
	fmgr_info(function, &info);
	for (int i = 0; i < nours; i++)
		if (info.fn_addr == ours[i])
			return true;
	return false;
}

void
act_planted_own(PGFunction function)
{
	Assert(nours < OURS_MAX);
	ours[nours++] = function;
}

static void
check_rules(Relation rel)
{
	if (rel->rd_rules != NULL && rel->rd_rules->numLocks > 0)
	{
		Oid			rule = rel->rd_rules->rules[0]->ruleId;
		Relation	pg_rewrite = table_open(RewriteRelationId, AccessShareLock);
		ScanKeyData key;
		SysScanDesc scan;
		HeapTuple	tuple;

		ScanKeyInit(&key, Anum_pg_rewrite_oid, BTEqualStrategyNumber, F_OIDEQ,
					ObjectIdGetDatum(rule));
		scan = systable_beginscan(pg_rewrite, RewriteOidIndexId, true, NULL, 1, &key);
		tuple = systable_getnext(scan);
		refuse(rel, "rule", HeapTupleIsValid(tuple) ?
			   NameStr(((Form_pg_rewrite) GETSTRUCT(tuple))->rulename) : "",
			   "DROP RULE");
	}
}

/* A domain would bring its own constraints. */
static void
check_columns(Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);

		if (!column->attisdropped &&
			column->atttypid >= FirstUnpinnedObjectId &&
			get_typtype(column->atttypid) != TYPTYPE_ENUM)
			refuse(rel, "type of column", NameStr(column->attname),
				   "ALTER TABLE ... ALTER COLUMN ... TYPE");
	}
}

static void
check_constraints(Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	TupleConstr *constr = desc->constr;

	if (constr == NULL)
		return;
	for (int i = 0; i < constr->num_check; i++)
		if (runs_foreign(stringToNode(constr->check[i].ccbin), NULL))
			refuse(rel, "constraint", constr->check[i].ccname,
				   "ALTER TABLE ... DROP CONSTRAINT");
	for (int i = 0; i < constr->num_defval; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, constr->defval[i].adnum - 1);

		if (runs_foreign(stringToNode(constr->defval[i].adbin), NULL))
			refuse(rel, column->attgenerated ? "generated column" :
				   "default of column", NameStr(column->attname),
				   column->attgenerated ? "ALTER TABLE ... DROP COLUMN" :
				   "ALTER TABLE ... ALTER COLUMN ... DROP DEFAULT");
	}
}

void
act_planted_check_indexes(Relation rel)
{
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *cell;

	foreach(cell, indexes)
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID,
											ObjectIdGetDatum(lfirst_oid(cell)));

		if (!HeapTupleIsValid(tuple))
			continue;			/* dropped concurrently */
		if (!is_plain_index(tuple))
			refuse(rel, "index", get_rel_name(lfirst_oid(cell)), "DROP INDEX");
		ReleaseSysCache(tuple);
	}
	list_free(indexes);
}

static void
check_statistics(Relation rel)
{
	List	   *statistics = RelationGetStatExtList(rel);
	ListCell   *cell;

	foreach(cell, statistics)
	{
		HeapTuple	tuple = SearchSysCache1(STATEXTOID,
											ObjectIdGetDatum(lfirst_oid(cell)));

		if (!HeapTupleIsValid(tuple))
			continue;
		if (!heap_attisnull(tuple, Anum_pg_statistic_ext_stxexprs, NULL))
			refuse(rel, "statistics object",
				   NameStr(((Form_pg_statistic_ext) GETSTRUCT(tuple))->stxname),
				   "DROP STATISTICS");
		ReleaseSysCache(tuple);
	}
	list_free(statistics);
}

/* Of columns, and with a built-in predicate if any. */
static bool
is_plain_index(HeapTuple index)
{
	bool		isnull;
	Datum		predicate = SysCacheGetAttr(INDEXRELID, index,
											Anum_pg_index_indpred, &isnull);

	return heap_attisnull(index, Anum_pg_index_indexprs, NULL) &&
		!((Form_pg_index) GETSTRUCT(index))->indisexclusion &&
		(isnull || !runs_foreign(stringToNode(TextDatumGetCString(predicate)), NULL));
}

static bool
runs_foreign(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, CoerceToDomain) || IsA(node, Query) ||
		check_functions_in_node(node, is_foreign, NULL))
		return true;
	return expression_tree_walker(node, runs_foreign, NULL);
}

/*
 * A built-in function that is not immutable may run what it is told to
 * (query_to_xml), or change a setting.  Our defaults take two such.
 */
static bool
is_foreign(Oid function, void *context)
{
	return function >= FirstGenbkiObjectId ||
		(function != F_NEXTVAL && function != F_GEN_RANDOM_UUID &&
		 func_volatile(function) != PROVOLATILE_IMMUTABLE);
}

static void
refuse(Relation rel, const char *what, const char *name, const char *remedy)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("%s \"%s\" of table \"%s.%s\" is not the extension's",
					what, name, get_namespace_name(RelationGetNamespace(rel)),
					RelationGetRelationName(rel)),
			 errdetail("It would run with the rights of whoever uses the table."),
			 errhint("Use %s.", remedy)));
}
