/*
 * track/capture.h
 *		The triggers of tracked tables.
 */
#ifndef ACT_CAPTURE_H
#define ACT_CAPTURE_H

#include "postgres.h"

/* A row that has left its partition and came to no other is recorded as gone. */
extern void act_capture_finish_moving(void);

/* It is forgotten: wholly, or if the aborted subtransaction has seen it. */
extern void act_capture_forget_moving(void);
extern void act_capture_abort_sub(SubTransactionId mine);

#endif
