/*
 * event/organization.h
 *		Organizations, interned.
 */
#ifndef ACT_ORGANIZATION_H
#define ACT_ORGANIZATION_H

#include "postgres.h"

#define ACT_ORGANIZATION_MAX 255	/* bytes of an id */

/* The organization's key, 0 when no visible row has it. Never writes. */
extern int32 act_organization_find(const char *id, int len);

/* The organization's key, made if need be; never waits for a transaction. */
extern int32 act_organization_intern(const char *id, int len);

/* The id of a key, palloc'd; throws an internal error when there is none. */
extern char *act_organization_id(int32 key);

/*
 * Ends the doubt about keys of rows that this transaction has written: true when
 * they have committed, false when they have not or may not.
 */
extern void act_organization_settle(bool committed);

extern void act_organization_init(void);

#endif
