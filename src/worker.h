/*
 * worker.h
 *		The background worker that publishes, seen from the writers.
 */
#ifndef ACT_WORKER_H
#define ACT_WORKER_H

#include "postgres.h"

/* Does a worker publish this database's events, so that writers need not
 * notify? */
extern bool act_worker_is_publishing(void);

#endif
