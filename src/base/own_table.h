/*
 * base/own_table.h
 *		The extension's own relations: found by name, written one row at a time.
 */
#ifndef ACT_RELATION_H
#define ACT_RELATION_H

#include "postgres.h"

#include "nodes/execnodes.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"

typedef enum ActRelation
{
	ACT_REL_EVENT,
	ACT_REL_EVENT_DEFAULT,
	ACT_REL_ORGANIZATION,
	ACT_REL_ORGANIZATION_ID_IDX,
	ACT_REL_ORGANIZATION_KEY_IDX,
	ACT_REL_ORGANIZATION_KEY,
	ACT_REL_ORGANIZATION_TIER,
	ACT_REL_ORGANIZATION_TIER_PKEY,
	ACT_REL_ORGANIZATION_TIER_NUMBER,
	ACT_REL_FEATURE_OVERRIDE,
	ACT_REL_FEATURE_OVERRIDE_PKEY,
	ACT_REL_INCARNATION,
	ACT_REL_SEGMENT,
	ACT_REL_STREAM,
	ACT_REL_STREAM_ANCHOR,
	ACT_REL_STREAM_ANCHOR_PKEY,
	ACT_REL_EXPIRY,
	ACT_REL_EXPIRY_PKEY,
	ACT_REL_PUBLICATION,
	ACT_REL_PUBLICATION_PKEY,
	ACT_REL_GAP,
	ACT_REL_READ_NOTE,
	ACT_REL_COUNT
} ActRelation;

/*
 * The OID; throws 42P01 where the extension isn't installed, AC050 where it is of a
 * version that the library doesn't know.
 */
extern Oid	act_relation_oid(ActRelation which);

/* The latter alone. */
extern void act_relation_check_version(void);

/*
 * Opens a table, or an index, or tells its OID, which must lie on the given
 * table; throws 55000 unless it is as the extension made it.  A partition is
 * checked against its parent.
 */
extern Relation act_relation_open(ActRelation which, LOCKMODE lock);
extern Relation act_relation_open_index(ActRelation which, Relation table);
extern Oid	act_relation_index(ActRelation which, Relation table);
extern void act_relation_check(Relation rel, ActRelation like);

/*
 * The same by the columns' types, a letter each (relation.c), in capitals where
 * they are not null, and by the numbers of an index's first columns, as digits.
 */
extern void act_relation_check_columns(Relation rel, const char *columns);
extern void act_relation_check_index(Relation index, Relation table,
									 const char *keys);

/* Throws if inserting into a table's open indexes would run code of its owner. */
extern void act_relation_check_target(ResultRelInfo *target);

/*
 * INSERT ... ON CONFLICT DO NOTHING as the executor does it: another session that
 * is inserting the same key is waited for; if it commits, ours isn't written,
 * and this is false.  The indexes were opened for speculative insertion.
 */
extern bool act_relation_insert_once(ResultRelInfo *target, TupleTableSlot *slot,
									 EState *estate);

/*
 * Stores a row of so many known columns in a slot of such a table; what stands
 * behind them was dropped, and is null.
 */
extern void act_relation_fill(TupleTableSlot *slot, const Datum *values,
							  const bool *nulls, int columns);

/* What is wrong with a relation and keeps it from being used; NULL: nothing. */
extern const char *act_relation_problem(ActRelation which, const char **name);

/* Inserts a row as COPY does, indexes and all; no trigger, no default. */
extern void act_relation_insert(ActRelation which, Datum *values, bool *nulls);

extern void act_relation_init(void);

/* The index of rel whose leading columns are these, InvalidOid if none. */
extern Oid	act_relation_index_on(Relation rel, int ncolumns,
							 const AttrNumber *columns);

#endif
