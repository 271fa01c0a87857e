/*
 * listener.h
 *		Where clients come in.
 */
#ifndef LISTENER_H
#define LISTENER_H

#include "address.h"

/*
 * Listens on ADDRESS:PORT.  NULL, or what is wrong, allocated.  Each client that
 * comes is given to http.c.
 */
extern char *listener_open(const char *where);

/* The URL under which it is reached; good until close. */
extern const char *listener_url(void);

/* Takes no more clients. */
extern void listener_close(void);

/* A connection from this address has ended. */
extern void listener_forget(const Address *address);

#endif
