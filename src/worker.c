/*
 * worker.c
 *		The background worker that publishes, seen from the writers.
 */
#include "activity.h"

#include "worker.h"

bool
act_worker_is_publishing(void)
{
	return false;
}
