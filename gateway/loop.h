/*
 * loop.h
 *		The loop: descriptors, timers, signals, names.  The one file that knows libuv.
 */
#ifndef LOOP_H
#define LOOP_H

#include "gateway.h"

#include <netdb.h>

#define WATCH_READ	1
#define WATCH_WRITE	2

typedef struct Watch Watch;
typedef struct Timer Timer;
typedef struct Lookup Lookup;

typedef void (*WatchFn) (void *arg, int events);
typedef void (*LoopFn) (void *arg);

extern void loop_open(void);
extern void loop_run(void);		/* until loop_stop */
extern void loop_stop(void);
extern void loop_close(void);

/* Milliseconds that never go back, as of this turn of the loop. */
extern int64_t loop_now(void);

/*
 * Watches a descriptor, for nothing yet.  It is level-triggered: what is armed
 * and not served comes again at once.  An error of the descriptor is told as
 * what is armed.
 */
extern Watch *watch_open(int fd, WatchFn fn, void *arg);
extern void watch_set(Watch *watch, int events);

/*
 * From here on fn is not called.  done, if any, is called with the watch's arg at
 * the end of this turn; the descriptor may be closed there.
 */
extern void watch_close(Watch *watch, LoopFn done);

/* A timer that is not running; set restarts it, once or each time again. */
extern Timer *timer_open(LoopFn fn, void *arg);
extern void timer_set(Timer *timer, int64_t milliseconds);
extern void timer_repeat(Timer *timer, int64_t milliseconds);
extern void timer_stop(Timer *timer);
extern void timer_close(Timer *timer);

extern void loop_signal(int number, LoopFn fn, void *arg);

/*
 * Resolves a name in a thread.  fn gets a list that is its own for the call, or
 * an error of getaddrinfo.  After lookup_forget it is not called.  The thread goes
 * on, since nothing can stop it.  NULL: it can't be a name.
 */
typedef void (*LookupFn) (void *arg, int error, const struct addrinfo *list);
extern Lookup *lookup_start(const char *host, const char *port, LookupFn fn,
							void *arg);
extern void lookup_forget(Lookup *lookup);

#endif
