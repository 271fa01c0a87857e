/*
 * turn.h
 *		Whose turn it is: a queue in which nobody waits for another's crowd.
 */
#ifndef TURN_H
#define TURN_H

#include "gateway.h"

typedef struct Turns Turns;

/* Somebody who asks; there as long as he has items that wait or run. */
typedef struct Turn Turn;

extern Turns *turns_make(void);
extern void turns_free(Turns *turns);

/* The item waits behind those of the same key alone. */
extern Turn *turns_add(Turns *turns, const char *key, void *item);

/* The next item of somebody of whom fewer than most run, the longest not served; or NULL. */
extern void *turns_take(Turns *turns, int most);

/* An item that was taken is done with. */
extern void turns_over(Turns *turns, Turn *turn);

extern int	turns_count(const Turns *turns);	/* items that wait */

#endif
