/*
 * track/gap.h
 *		What tracking could not record as it should: warned of and counted.
 */
#ifndef ACT_GAP_H
#define ACT_GAP_H

#include "track/plan.h"

/*
 * One change of the table that the rules could not make sense of.  Throws
 * ERRCODE_ACT_UNKNOWN_STATE if the table is tracked with on_unknown = 'error';
 * else warns, once a transaction and reason, and counts.
 */
extern void act_gap_note(const ActPlan *plan, const char *reason,
						 const char *hint);

/* One change that was not recorded because activity.capture is off. */
extern void act_gap_note_silence(const ActPlan *plan);

/*
 * Writes the counts of the current subtransaction.  Those of an outer one stay,
 * or they would be lost if ours aborts.
 */
extern void act_gap_flush(void);

/* The transaction has ended, and its memory with it. */
extern void act_gap_forget(void);

/* What a subtransaction saw is its parent's when it commits, and did not happen
 * when it aborts. */
extern void act_gap_commit_sub(SubTransactionId mine, SubTransactionId parent);
extern void act_gap_abort_sub(SubTransactionId mine);

/* For upkeep, within upkeep.h's begin and end: one row for each day, table and
 * reason; the rows left of those that had company. */
extern int64 act_gap_fold(void);

#endif
