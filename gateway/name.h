/*
 * name.h
 *		Names of webhook receivers, resolved without holding up anything.
 */
#ifndef NAME_H
#define NAME_H

#include "address.h"

#define NAME_ADDRESSES_MOST 8

typedef struct NameWait NameWait;

/* The addresses; none: the name can't be resolved, or not in time. */
typedef void (*NameFn) (void *arg, const Address *addresses, int count);

extern void names_open(void);

/* fn is called once, never from within this call, unless it is forgotten. */
extern NameWait *name_resolve(const char *host, NameFn fn, void *arg);
extern void name_forget(NameWait *wait);

/* Once a second: deadlines. */
extern void names_tick(void);

#endif
