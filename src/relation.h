/*
 * relation.h
 *		The extension's own relations: found by name, written one row at a time.
 */
#ifndef ACT_RELATION_H
#define ACT_RELATION_H

#include "postgres.h"

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
	ACT_REL_COUNT
} ActRelation;

/* The OID; throws 42P01 where the extension isn't installed. */
extern Oid	act_relation_oid(ActRelation which);

/* Inserts a row through the executor: constraints, indexes and all. */
extern void act_relation_insert(ActRelation which, Datum *values, bool *nulls);

extern void act_relation_init(void);

#endif
