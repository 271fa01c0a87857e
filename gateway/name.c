/*
 * name.c
 *		Names of webhook receivers, resolved without holding up anything.
 *
 * libcurl's own resolver takes a thread for each name, and when a transfer ends
 * while its name is being looked up, the loop waits for that thread.  Here each name is
 * looked up once at a time, for all who ask, and what was found is kept a short while.
 * Whatever it is, each address is checked before it is connected to.
 */
#include "name.h"

#include "loop.h"
#include "map.h"

#define KEEP_TIME 20000
#define LOOKUP_TIME 10000

/* Threads for slow names; the others are the database's (loop.c). */
#define RUNNING_MOST 12

typedef struct Name Name;

struct NameWait
{
	NameWait   *next;
	NameFn		fn;				/* NULL: forgotten */
	void	   *arg;
	int64_t		since;
};

struct Name
{
	Name	   *next;			/* in the queue for a thread */
	NameWait   *waits;
	Address		addresses[NAME_ADDRESSES_MOST];
	int			count;
	bool		pending;		/* queued or looked up */
	int64_t		found;
	char		host[];
};

static Map *names;
static Name *queue;
static Name **queue_end = &queue;
static int	running = 0;
static Timer *timer;

static void start(void);

/* Answers whoever waits for what is there already. */
static void
answer(void *value, void *arg)
{
	Name	   *name = value;
	NameWait   *wait = name->waits;

	if (name->pending)
		return;
	name->waits = NULL;
	while (wait)
	{
		NameWait   *next = wait->next;

		if (wait->fn)
			wait->fn(wait->arg, name->addresses, name->count);
		free(wait);
		wait = next;
	}
}

static void
answer_all(void *arg)
{
	map_each(names, answer, NULL);
}

void
names_open(void)
{
	names = map_make();
	timer = timer_open(answer_all, NULL);
}

static void
on_lookup(void *arg, int error, const struct addrinfo *list)
{
	Name	   *name = arg;

	running--;
	name->pending = false;
	name->count = 0;
	name->found = loop_now();
	for (; error == 0 && list && name->count < NAME_ADDRESSES_MOST; list = list->ai_next)
		if (address_of(list->ai_addr, &name->addresses[name->count]))
			name->count++;
	answer(name, NULL);
	start();
}

/* As many as there are threads for. */
static void
start(void)
{
	while (queue && running < RUNNING_MOST)
	{
		Name	   *name = queue;

		queue = name->next;
		if (queue == NULL)
			queue_end = &queue;
		running++;
		if (lookup_start(name->host, NULL, on_lookup, name) == NULL)
		{
			running--;
			name->pending = false;
			name->count = 0;
			name->found = loop_now();
			timer_set(timer, 0);
		}
	}
}

NameWait *
name_resolve(const char *host, NameFn fn, void *arg)
{
	Name	   *name = map_get(names, host, strlen(host));
	NameWait   *wait = allocate(sizeof(NameWait));

	if (name == NULL)
	{
		name = allocate(sizeof(Name) + strlen(host) + 1);
		strcpy(name->host, host);
		name->found = -KEEP_TIME;
		map_put(names, host, strlen(host), name);
	}
	wait->fn = fn;
	wait->arg = arg;
	wait->since = loop_now();
	wait->next = name->waits;
	name->waits = wait;
	if (name->count > 0 && loop_now() - name->found < KEEP_TIME)
		timer_set(timer, 0);
	else if (!name->pending)
	{
		name->pending = true;
		name->next = NULL;
		*queue_end = name;
		queue_end = &name->next;
		start();
	}
	return wait;
}

void
name_forget(NameWait *wait)
{
	wait->fn = NULL;
}

static void
tick(void *value, void *arg)
{
	Name	   *name = value;
	NameWait  **link = &name->waits;

	while (*link)
	{
		NameWait   *wait = *link;

		if (loop_now() - wait->since < LOOKUP_TIME)
		{
			link = &wait->next;
			continue;
		}
		*link = wait->next;
		if (wait->fn)
			wait->fn(wait->arg, NULL, 0);
		free(wait);
	}
	if (!name->pending && name->waits == NULL && loop_now() - name->found > KEEP_TIME)
	{
		map_remove(names, name->host, strlen(name->host));
		free(name);
	}
}

void
names_tick(void)
{
	map_each(names, tick, NULL);
}
