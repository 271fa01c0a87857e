/*
 * publish.c
 *		Publishing where no background worker does.
 *
 * Whoever calls activity.publish() does the same work, and only one at a time; a
 * call that finds nothing to do, or somebody else at it, costs next to nothing.  So
 * it is called once a second in any case, and at once when a writer says so.
 */
#include "publish.h"

#include "database.h"
#include "loop.h"

#define INTERVAL 1000

static Timer *timer;
static bool running = false;
static bool again = false;

static void
published(void *arg, const Answer *answer)
{
	running = false;
	/* More than a batch may be there. */
	if (answer->result && strcmp(PQgetvalue(answer->result, 0, 0), "0") != 0)
		again = true;
	if (again && answer->result)
		publish_soon();
}

void
publish_soon(void)
{
	if (running)
		again = true;
	else if (database_is_up())
	{
		running = true;
		again = false;
		database_ask(PRIORITY_FIRST, "SELECT activity.publish()", 0, NULL, published, NULL);
	}
}

static void
tick(void *arg)
{
	publish_soon();
}

void
publish_open(void)
{
	timer = timer_open(tick, NULL);
	timer_repeat(timer, INTERVAL);
}

void
publish_close(void)
{
	timer_close(timer);
}
