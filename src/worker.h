/*
 * worker.h
 *		The background worker that publishes, seen from the others.
 */
#ifndef ACT_WORKER_H
#define ACT_WORKER_H

#include "postgres.h"

/* Does a worker publish this database's events, so that writers need not
 * notify? */
extern bool act_worker_is_publishing(void);

/* Is this database one that workers are to publish?  Then publishers notify,
 * because writers may have relied on it. */
extern bool act_worker_notifies(void);

/* This transaction has recorded: its commit will wake the worker. */
extern void act_worker_expect(void);

/* For activity.health: events published, of which so many without notifying. */
extern void act_worker_count(int64 events, int64 skipped);

extern void act_worker_init(void);

#endif
