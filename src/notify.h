/*
 * notify.h
 *		Live messages that the writer sends at commit while nobody publishes.
 */
#ifndef ACT_NOTIFY_H
#define ACT_NOTIFY_H

#include "record.h"
#include "lib/stringinfo.h"

extern void act_notify_init(void);

#endif
