/*
 * stream/right.h
 *		The right to publish: one transaction has it at a time, for as short as can be.
 */
#ifndef ACT_RIGHT_H
#define ACT_RIGHT_H

#include "postgres.h"
#include "fmgr.h"
#include "utils/snapshot.h"

/*
 * Takes the right until the transaction ends; false while somebody else has it.
 * activity.health names who.
 */
extern bool act_right_take(void);

/*
 * Throws 25001 unless what called the function ends at once or can commit: a
 * statement of its own, or a procedure or DO outside a transaction block.
 */
extern void act_right_require(FunctionCallInfo fcinfo, const char *function);

/*
 * May the function, which is asked to read, publish first?  Only if it is called by a
 * statement of its own, which commits as soon as it is done, of somebody who may
 * call activity.publish().
 */
extern bool act_right_is_given(FunctionCallInfo fcinfo);

/*
 * Makes the snapshot, the active one, not show what this transaction has
 * published, if it goes on after the present statement.  It may yet roll back;
 * then other events could get the same positions, and a cursor or a checkpoint
 * that was handed out would be wrong.
 */
extern void act_right_hide_own(Snapshot snapshot);

/* The transaction has ended, and with it the right to publish. */
extern void act_right_forget(void);

#endif
