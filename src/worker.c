/*
 * worker.c
 *		The background worker that publishes, seen from the others.
 */
#include "activity.h"

#include "worker.h"

bool
act_worker_is_publishing(void)
{
	return false;
}

bool
act_worker_notifies(void)
{
	return false;
}

void
act_worker_expect(void)
{
}

void
act_worker_count(int64 events, int64 skipped)
{
}

void
act_worker_init(void)
{
}
