/*
 * gateway.h
 *		What every file of the gateway includes.
 *
 * The gateway is one thread with one loop.  Nothing blocks, every buffer has a
 * bound, and no state is kept that the database does not have: it can be killed
 * at any moment, and two can run side by side.
 */
#ifndef GATEWAY_H
#define GATEWAY_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef USE_ASSERT_CHECKING
#define Assert(condition) assert(condition)
#else
#define Assert(condition) ((void) 0)
#endif

#define Min(a, b) ((a) < (b) ? (a) : (b))
#define Max(a, b) ((a) > (b) ? (a) : (b))

/*
 * Memory that is zeroed, or the end of the process: it has no state to lose, and
 * whoever supervises it starts another.
 */
extern void *allocate(size_t size);
extern void *reallocate(void *old, size_t size);
extern char *copy_text(const char *text);
extern char *copy_bytes(const char *data, size_t len);	/* with a 0 behind it */

#endif
