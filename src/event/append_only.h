/*
 * event/append_only.h
 *		Tables that take no UPDATE, DELETE or TRUNCATE.
 */
#ifndef ACT_APPEND_ONLY_H
#define ACT_APPEND_ONLY_H

#include "postgres.h"

/*
 * Between lift and restore this backend may change what is append-only; nests.
 * Restore in PG_FINALLY, or else an error leaves the door open.
 */
extern void act_append_only_lift(void);
extern void act_append_only_restore(void);

extern void act_append_only_init(void);

#endif
