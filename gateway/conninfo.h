/*
 * conninfo.h
 *		A connection string, its names resolved without blocking.
 */
#ifndef CONNINFO_H
#define CONNINFO_H

#include "gateway.h"

typedef struct Conninfo Conninfo;

/* Keywords and values for PQconnectStartParams, or NULL and why. */
typedef void (*ConninfoFn) (void *arg, const char *const *keywords,
							const char *const *values, const char *why);

/*
 * libpq would wait for the name server, for each host in turn.  So each name is
 * looked up here and given as hostaddr beside its host.  fn is called once, perhaps at
 * once, unless it is forgotten.
 */
extern Conninfo *conninfo_resolve(const char *text, ConninfoFn fn, void *arg);
extern void conninfo_forget(Conninfo *conninfo);

/* What is wrong with the text, allocated, or NULL. */
extern char *conninfo_check(const char *text);

#endif
