/*
 * wake/slot.h
 *		What the workers, the launcher and everybody else share in memory.
 */
#ifndef ACT_WORKER_SLOT_H
#define ACT_WORKER_SLOT_H

#include "port/atomics.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "utils/timestamp.h"

#define ACT_WORKER_SLOTS 64		/* databases */
#define ACT_WORKER_ERROR_MAX 512	/* bytes of a message */

/*
 * The life of a worker:
 *
 *	stopped --launcher--> starting --connected--> waiting (no extension here)
 *	                                                 |  ^
 *	                                CREATE EXTENSION v  | DROP EXTENSION
 *	failing <--an error-- publishing --error gone--> idle/publishing
 *
 * and from each of them back to stopped.
 */
typedef enum ActWorkerState
{
	ACT_WORKER_STOPPED,
	ACT_WORKER_STARTING,
	ACT_WORKER_WAITING,
	ACT_WORKER_PUBLISHING,
	ACT_WORKER_FAILING
} ActWorkerState;

/* One for each name in activity.databases; changed under the lock, but for
 * what is atomic. */
typedef struct ActWorkerSlot
{
	char		name[NAMEDATALEN];	/* empty: free */
	pg_atomic_uint32 database;	/* its OID, once a worker has been there */
	pg_atomic_uint32 state;		/* ActWorkerState */
	Latch	   *latch;			/* the worker's, while there is one */
	int			pid;
	int			upkeep_pid;		/* 0: no upkeep is going on */
	bool		terminated;		/* the last worker was, by somebody */
	bool		leave;			/* the worker is to go, and not to come back */
	TimestampTz hold_until;		/* none is to be started before */
	pg_atomic_uint64 wakeups;	/* of the worker, since the server started */
	pg_atomic_uint64 published;
	pg_atomic_uint64 skipped;	/* events that were not notified */
	int64		failures;
	TimestampTz failed_at;
	char		error[ACT_WORKER_ERROR_MAX];
} ActWorkerSlot;

typedef struct ActWorkerShared
{
	LWLock	   *lock;
	Latch	   *launcher;		/* NULL: none is there */
	ActWorkerSlot slots[ACT_WORKER_SLOTS];
} ActWorkerShared;

/* NULL unless the library is in shared_preload_libraries. */
extern ActWorkerShared *act_worker_shared;

extern void act_worker_wake_launcher(void);

/* Counts a failure, which activity.health then shows. */
extern void act_worker_note_failure(ActWorkerSlot *slot, const char *problem);

/* Asks the workers of a database to leave for a while (true), because
 * somebody needs it empty; or lets them come back. */
extern void act_worker_hold(const char *database, bool hold);

/* This transaction changes which databases or extensions there are. */
extern void act_worker_expect_change(void);

#endif
