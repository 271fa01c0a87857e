/*
 * track/capture.h
 *		The triggers of tracked tables.
 */
#ifndef ACT_CAPTURE_H
#define ACT_CAPTURE_H

extern void act_capture_init(void);

#endif
