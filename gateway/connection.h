/*
 * connection.h
 *		One connection to the database, kept up without ever blocking.
 */
#ifndef CONNECTION_H
#define CONNECTION_H

#include "gateway.h"

#include <libpq-fe.h>

typedef struct Connection Connection;

typedef struct ConnectionOps
{
	void		(*up) (Connection *connection, void *arg);
	void		(*input) (Connection *connection, void *arg);	/* consumed already */
	void		(*down) (Connection *connection, void *arg, const char *why);
} ConnectionOps;

/* Begins to connect, and does so again whenever it is lost, at growing intervals. */
extern Connection *connection_open(const char *conninfo, const ConnectionOps *ops,
								   void *arg);
extern void connection_close(Connection *connection);

/* NULL unless it is up. */
extern PGconn *connection_pg(Connection *connection);

/* Sends a query; false, and down is called, if it can't. */
extern bool connection_send(Connection *connection, const char *sql, int count,
							const char *const *parameters);

/* Ends it, and begins anew. */
extern void connection_fail(Connection *connection, const char *why);

#endif
