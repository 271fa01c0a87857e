/*
 * base/compat.h
 *		Where PostgreSQL 15, 17 and 18 differ, one shim each, with the upstream
 *		change that made it necessary.
 */
#ifndef ACT_COMPAT_H
#define ACT_COMPAT_H

#include "postgres.h"

#include "access/genam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_proc.h"
#include "executor/executor.h"
#include "nodes/parsenodes.h"
#include "parser/parse_relation.h"
#include "utils/acl.h"
#include "utils/rel.h"

/* 16 took it out of postgres.h (d952373a987). */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 18 writes it before the declaration (97525bc5c8f), as C23 does. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

/* 17 has it (51efe38cb92). */
#if PG_VERSION_NUM >= 170000
#define ACT_COMPAT_TRANSACTION_TIMEOUT
#endif

/*
 * An EState whose range table holds one relation, to write to.
 * 16 moved permissions out of the range table (a61b1f74823), 18 lets
 * ExecInitRangeTable know unpruned relations (cbc127917e0).
 */
static inline EState *
act_compat_estate(Relation rel)
{
	EState	   *estate = CreateExecutorState();
	RangeTblEntry *entry = makeNode(RangeTblEntry);

	entry->rtekind = RTE_RELATION;
	entry->relid = RelationGetRelid(rel);
	entry->relkind = rel->rd_rel->relkind;
	entry->rellockmode = AccessShareLock;
#if PG_VERSION_NUM >= 180000
	{
		List	   *permissions = NIL;

		addRTEPermissionInfo(&permissions, entry);
		ExecInitRangeTable(estate, list_make1(entry), permissions,
						   bms_make_singleton(1));
	}
#elif PG_VERSION_NUM >= 160000
	{
		List	   *permissions = NIL;

		addRTEPermissionInfo(&permissions, entry);
		ExecInitRangeTable(estate, list_make1(entry), permissions);
	}
#else
	ExecInitRangeTable(estate, list_make1(entry));
#endif
	estate->es_output_cid = GetCurrentCommandId(true);
	return estate;
}

/* 16 has one check of ownership for all catalogs (afbfc02983f). */
#if PG_VERSION_NUM >= 160000
#define act_compat_owns_extension(extension, role) \
	object_ownercheck(ExtensionRelationId, extension, role)
#else
#define act_compat_owns_extension(extension, role) \
	pg_extension_ownercheck(extension, role)
#endif

#if PG_VERSION_NUM >= 160000
#define act_compat_owns_database(database, role) \
	object_ownercheck(DatabaseRelationId, database, role)
#else
#define act_compat_owns_database(database, role) \
	pg_database_ownercheck(database, role)
#endif

/* 16 added onlySummarizing (19d8e2308bc), for updates that keep HOT. */
#if PG_VERSION_NUM >= 160000
#define act_compat_insert_index_tuples(rri, slot, estate, no_dup, conflict) \
	ExecInsertIndexTuples(rri, slot, estate, false, no_dup, conflict, NIL, false)
#else
#define act_compat_insert_index_tuples(rri, slot, estate, no_dup, conflict) \
	ExecInsertIndexTuples(rri, slot, estate, false, no_dup, conflict, NIL)
#endif

/* 18 tells the row that is being checked its own tid (bc32a12e0db). */
#if PG_VERSION_NUM >= 180000
#define act_compat_check_constraints(rri, slot, estate, conflict) \
	ExecCheckIndexConstraints(rri, slot, estate, conflict, &(slot)->tts_tid, NIL)
#else
#define act_compat_check_constraints(rri, slot, estate, conflict) \
	ExecCheckIndexConstraints(rri, slot, estate, conflict, NIL)
#endif

/* 16 lets input functions report errors without throwing (d9f7f5d32f2). */
#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#else
#define errsave(context, ...) ereport(ERROR, __VA_ARGS__)
#endif

/* 18 counts searches for EXPLAIN (0fbceae841c). */
#if PG_VERSION_NUM >= 180000
#define act_compat_index_beginscan(rel, index, snapshot, nkeys) \
	index_beginscan(rel, index, snapshot, NULL, nkeys, 0)
#else
#define act_compat_index_beginscan(rel, index, snapshot, nkeys) \
	index_beginscan(rel, index, snapshot, nkeys, 0)
#endif

/* 16 has one check of ownership for all catalogs (afbfc02983f). */
#if PG_VERSION_NUM >= 160000
#define act_compat_owns_relation(relation, role) \
	object_ownercheck(RelationRelationId, relation, role)
#else
#define act_compat_owns_relation(relation, role) \
	pg_class_ownercheck(relation, role)
#endif

/* 18 knows deferrable primary keys, too (14e87ffa5c5). */
#if PG_VERSION_NUM >= 180000
#define act_compat_primary_key(relation) \
	RelationGetPrimaryKeyIndex(relation, false)
#else
#define act_compat_primary_key(relation) RelationGetPrimaryKeyIndex(relation)
#endif

/* 18 allows NOT NULL of rows that were not looked at (a379061a22a). */
#if PG_VERSION_NUM >= 180000
#define act_compat_is_not_null(desc, i) \
	(TupleDescAttr(desc, i)->attnotnull && \
	 TupleDescCompactAttr(desc, i)->attnullability != ATTNULLABLE_INVALID)
#else
#define act_compat_is_not_null(desc, i) (TupleDescAttr(desc, i)->attnotnull)
#endif

/* 17 can ask for a stronger lock as well. */
#if PG_VERSION_NUM >= 170000
#define act_compat_lock_held(tag, mode) LockHeldByMe(tag, mode, false)
#else
#define act_compat_lock_held(tag, mode) LockHeldByMe(tag, mode)
#endif

/* 17 has the context made by the caller, if he likes (1c99cde2f34). */
#if PG_VERSION_NUM >= 170000
#define act_compat_json_lex(json, len) \
	makeJsonLexContextCstringLen(NULL, json, len, PG_UTF8, true)
#else
#define act_compat_json_lex(json, len) \
	makeJsonLexContextCstringLen(json, len, PG_UTF8, true)
#endif

/* 16 has one function for all kinds of objects (c727f511bd7). */
static inline bool
act_compat_may_execute(Oid function, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(ProcedureRelationId, function, role, ACL_EXECUTE) == ACLCHECK_OK;
#else
	return pg_proc_aclcheck(function, role, ACL_EXECUTE) == ACLCHECK_OK;
#endif
}

#endif
