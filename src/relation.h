/*
 * relation.h
 *		The extension's own relations: found by name, written one row at a time.
 */
#ifndef ACT_RELATION_H
#define ACT_RELATION_H

#include "postgres.h"

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
	ACT_REL_COUNT
} ActRelation;

/* The OID; throws 42P01 where the extension isn't installed. */
extern Oid	act_relation_oid(ActRelation which);

/*
 * Inserts a row, into the indexes, too.  Neither triggers nor CHECK constraints
 * run: they could only be somebody's who planted them there.
 */
extern void act_relation_insert(ActRelation which, Datum *values, bool *nulls);

/*
 * Whoever writes to one of our tables does it as its owner, between these two;
 * an error sets the user back along with the (sub)transaction.
 */
typedef struct ActUser
{
	Oid			id;
	int			context;
} ActUser;

extern void act_relation_become_owner(Relation rel, ActUser *former);
extern void act_relation_become(const ActUser *former);

extern void act_relation_init(void);

#endif
