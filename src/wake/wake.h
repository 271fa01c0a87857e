/*
 * wake/wake.h
 *		The background workers that publish, seen from the others.
 */
#ifndef ACT_WORKER_H
#define ACT_WORKER_H

#include "postgres.h"

/*
 * Does a worker publish this database's events at present?  Then writers need
 * not notify.
 */
extern bool act_worker_is_publishing(void);

/* Have writers of this database been able to rely on that?  Then publishers
 * notify, whoever they are. */
extern bool act_worker_notifies(void);

/* This transaction has recorded: its commit will wake the worker. */
extern void act_worker_expect(void);

/*
 * Once the commit is visible: wakes whom this transaction was to wake.  Or
 * forgets that it was to.
 */
extern void act_worker_wake_expecting(void);
extern void act_worker_expect_nothing(void);

/* Wakes it now. */
extern void act_worker_wake(void);

/* For activity.health: events published, of which so many without notifying. */
extern void act_worker_count(int64 events, int64 skipped);

extern void act_worker_init(void);

#endif
