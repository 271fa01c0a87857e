/*
 * track/capture.h
 *		The triggers of tracked tables.
 */
#ifndef ACT_CAPTURE_H
#define ACT_CAPTURE_H

#include "postgres.h"

/*
 * Rows that left their partition in this subtransaction and came to no other are
 * recorded as gone.
 */
extern void act_capture_finish(void);

/* They are forgotten: all, or those that the aborted subtransaction has seen. */
extern void act_capture_forget(void);
extern void act_capture_abort_sub(SubTransactionId mine);

#endif
