/*
 * loop.c
 *		The loop: descriptors, timers, signals, names.  The one file that knows libuv.
 */
#include "loop.h"

#include <uv.h>

struct Watch
{
	uv_poll_t	poll;
	WatchFn		fn;
	LoopFn		done;
	void	   *arg;
	int			events;			/* armed */
	bool		closed;
};

struct Timer
{
	uv_timer_t	timer;
	LoopFn		fn;
	void	   *arg;
};

struct Lookup
{
	uv_getaddrinfo_t request;
	LookupFn	fn;
	void	   *arg;
};

typedef struct Signal
{
	uv_signal_t signal;
	LoopFn		fn;
	void	   *arg;
} Signal;

static uv_loop_t loop;

static void
must(int result, const char *what)
{
	if (result < 0)
	{
		fprintf(stderr, "%s: %s\n", what, uv_strerror(result));
		exit(1);
	}
}

void
loop_open(void)
{
	/* Threads resolve names and do nothing else; slow names wait in a queue. */
	setenv("UV_THREADPOOL_SIZE", "16", 0);
	must(uv_loop_init(&loop), "loop");
}

void
loop_run(void)
{
	uv_run(&loop, UV_RUN_DEFAULT);
}

void
loop_stop(void)
{
	uv_stop(&loop);
}

static void
free_handle(uv_handle_t *handle)
{
	free(handle->data);
}

static void
close_handle(uv_handle_t *handle, void *arg)
{
	if (!uv_is_closing(handle))
		uv_close(handle, free_handle);
}

/* What is closing by itself is finished first, with its own callback. */
void
loop_close(void)
{
	uv_run(&loop, UV_RUN_NOWAIT);
	uv_walk(&loop, close_handle, NULL);
	uv_run(&loop, UV_RUN_NOWAIT);
	uv_loop_close(&loop);
}

int64_t
loop_now(void)
{
	return uv_now(&loop);
}

static void
on_poll(uv_poll_t *poll, int status, int events)
{
	Watch	   *watch = poll->data;
	int			told = 0;

	if (watch->closed)
		return;
	if (events & UV_READABLE)
		told |= WATCH_READ;
	if (events & UV_WRITABLE)
		told |= WATCH_WRITE;
	watch->fn(watch->arg, status < 0 ? watch->events : told);
}

Watch *
watch_open(int fd, WatchFn fn, void *arg)
{
	Watch	   *watch = allocate(sizeof(Watch));

	must(uv_poll_init(&loop, &watch->poll, fd), "poll");
	watch->poll.data = watch;
	watch->fn = fn;
	watch->arg = arg;
	return watch;
}

void
watch_set(Watch *watch, int events)
{
	int			wanted = 0;

	if (watch->closed || events == watch->events)
		return;
	watch->events = events;
	if (events & WATCH_READ)
		wanted |= UV_READABLE;
	if (events & WATCH_WRITE)
		wanted |= UV_WRITABLE;
	if (wanted)
		must(uv_poll_start(&watch->poll, wanted, on_poll), "poll");
	else
		uv_poll_stop(&watch->poll);
}

static void
on_watch_closed(uv_handle_t *handle)
{
	Watch	   *watch = handle->data;

	if (watch->done)
		watch->done(watch->arg);
	free(watch);
}

void
watch_close(Watch *watch, LoopFn done)
{
	Assert(!watch->closed);
	watch->closed = true;
	watch->done = done;
	uv_close((uv_handle_t *) &watch->poll, on_watch_closed);
}

static void
on_timer(uv_timer_t *handle)
{
	Timer	   *timer = handle->data;

	timer->fn(timer->arg);
}

Timer *
timer_open(LoopFn fn, void *arg)
{
	Timer	   *timer = allocate(sizeof(Timer));

	must(uv_timer_init(&loop, &timer->timer), "timer");
	timer->timer.data = timer;
	timer->fn = fn;
	timer->arg = arg;
	return timer;
}

void
timer_set(Timer *timer, int64_t milliseconds)
{
	uv_timer_start(&timer->timer, on_timer, Max(milliseconds, 0), 0);
}

void
timer_repeat(Timer *timer, int64_t milliseconds)
{
	uv_timer_start(&timer->timer, on_timer, milliseconds, milliseconds);
}

void
timer_stop(Timer *timer)
{
	uv_timer_stop(&timer->timer);
}

void
timer_close(Timer *timer)
{
	uv_close((uv_handle_t *) &timer->timer, free_handle);
}

static void
on_signal(uv_signal_t *handle, int number)
{
	Signal	   *signal = handle->data;

	signal->fn(signal->arg);
}

void
loop_signal(int number, LoopFn fn, void *arg)
{
	Signal	   *signal = allocate(sizeof(Signal));

	must(uv_signal_init(&loop, &signal->signal), "signal");
	signal->signal.data = signal;
	signal->fn = fn;
	signal->arg = arg;
	must(uv_signal_start(&signal->signal, on_signal, number), "signal");
}

static void
on_lookup(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
	Lookup	   *lookup = request->data;

	/* libuv's numbers for these errors are its own. */
	if (lookup->fn)
		lookup->fn(lookup->arg, status == 0 ? 0 :
				   status == UV_EAI_AGAIN ? EAI_AGAIN : EAI_NONAME, list);
	uv_freeaddrinfo(list);
	free(lookup);
}

Lookup *
lookup_start(const char *host, const char *port, LookupFn fn, void *arg)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	Lookup	   *lookup = allocate(sizeof(Lookup));

	lookup->request.data = lookup;
	lookup->fn = fn;
	lookup->arg = arg;
	if (uv_getaddrinfo(&loop, &lookup->request, on_lookup, host, port, &hints) == 0)
		return lookup;
	free(lookup);
	return NULL;
}

void
lookup_forget(Lookup *lookup)
{
	lookup->fn = NULL;
}
