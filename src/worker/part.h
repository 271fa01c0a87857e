/*
 * worker/part.h
 *		The processes and the hook, for one another and for the module.
 */
#ifndef ACT_WORKER_PART_H
#define ACT_WORKER_PART_H

#include "wake/slot.h"

extern void act_worker_hook_init(void);
extern void act_worker_launcher_register(void);

/* Connects a worker to the slot's database, with settings of its own. */
extern void act_worker_connect(ActWorkerSlot *slot);

/* Keeps the extension from being dropped until the transaction ends; false
 * where there is none. */
extern bool act_worker_lock_extension(void);

/* Has the upkeep of the slot's database done in another process. */
extern void act_worker_start_upkeep(int number);

#endif
