/*
 * connection.c
 *		One connection to the database, kept up without ever blocking.
 *
 * libpq may change its socket whenever it connects, so the watch is made anew for
 * each step of that.
 */
#include "connection.h"

#include "conninfo.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"

#define CONNECT_TIME 15000
#define PAUSE_FIRST 100
#define PAUSE_MOST 5000

struct Connection
{
	char	   *text;
	const ConnectionOps *ops;
	void	   *arg;
	Conninfo   *resolving;
	PGconn	   *pg;
	Watch	   *watch;
	Timer	   *timer;			/* for the next attempt, or against a slow one */
	int64_t		pause;
	bool		up;
};

static void begin(void *arg);
static void connect_to(void *arg, const char *const *keywords,
					   const char *const *values, const char *why);
static void go_on(void *arg, int events);
static void step(Connection *connection);
static void serve(void *arg, int events);
static void too_late(void *arg);
static void let_go(Connection *connection);

Connection *
connection_open(const char *conninfo, const ConnectionOps *ops, void *arg)
{
	Connection *connection = allocate(sizeof(Connection));

	connection->text = copy_text(conninfo);
	connection->ops = ops;
	connection->arg = arg;
	connection->timer = timer_open(begin, connection);
	timer_set(connection->timer, 0);
	return connection;
}

static void
begin(void *arg)
{
	Connection *connection = arg;

	if (connection->pg || connection->resolving)
	{
		too_late(arg);
		return;
	}
	timer_set(connection->timer, CONNECT_TIME);
	connection->resolving = conninfo_resolve(connection->text, connect_to, connection);
}

static void
too_late(void *arg)
{
	Connection *connection = arg;

	if (!connection->up)
		connection_fail(connection, "the database does not answer");
}

static void
connect_to(void *arg, const char *const *keywords, const char *const *values,
		   const char *why)
{
	Connection *connection = arg;

	connection->resolving = NULL;
	if (why)
	{
		connection_fail(connection, why);
		return;
	}
	connection->pg = PQconnectStartParams(keywords, values, 0);
	if (connection->pg == NULL || PQstatus(connection->pg) == CONNECTION_BAD)
		connection_fail(connection, connection->pg ? PQerrorMessage(connection->pg) :
						"out of memory");
	else
	{
		connection->watch = watch_open(PQsocket(connection->pg), go_on, connection);
		watch_set(connection->watch, WATCH_WRITE);
	}
}

static void
go_on(void *arg, int events)
{
	step(arg);
}

static void
step(Connection *connection)
{
	PostgresPollingStatusType status;

	watch_close(connection->watch, NULL);
	connection->watch = NULL;
	status = PQconnectPoll(connection->pg);
	if (status == PGRES_POLLING_FAILED)
	{
		connection_fail(connection, PQerrorMessage(connection->pg));
		return;
	}
	if (status != PGRES_POLLING_OK)
	{
		connection->watch = watch_open(PQsocket(connection->pg), go_on, connection);
		watch_set(connection->watch, status == PGRES_POLLING_WRITING ? WATCH_WRITE : WATCH_READ);
		return;
	}
	if (PQsetnonblocking(connection->pg, 1) != 0)
	{
		connection_fail(connection, PQerrorMessage(connection->pg));
		return;
	}
	timer_stop(connection->timer);
	connection->up = true;
	connection->pause = 0;
	connection->watch = watch_open(PQsocket(connection->pg), serve, connection);
	watch_set(connection->watch, WATCH_READ);
	connection->ops->up(connection, connection->arg);
}

PGconn *
connection_pg(Connection *connection)
{
	return connection->up ? connection->pg : NULL;
}

/* Whether everything is sent or the rest is watched for. */
static bool
flush(Connection *connection)
{
	int			left = PQflush(connection->pg);

	if (left < 0)
	{
		connection_fail(connection, PQerrorMessage(connection->pg));
		return false;
	}
	watch_set(connection->watch, left > 0 ? WATCH_READ | WATCH_WRITE : WATCH_READ);
	return true;
}

bool
connection_send(Connection *connection, const char *sql, int count,
				const char *const *parameters)
{
	if (!connection->up)
		return false;
	if (!PQsendQueryParams(connection->pg, sql, count, NULL, parameters, NULL, NULL, 0))
	{
		connection_fail(connection, PQerrorMessage(connection->pg));
		return false;
	}
	return flush(connection);
}

static void
serve(void *arg, int events)
{
	Connection *connection = arg;

	if (!PQconsumeInput(connection->pg))
	{
		connection_fail(connection, PQerrorMessage(connection->pg));
		return;
	}
	if (flush(connection))
		connection->ops->input(connection, connection->arg);
}

void
connection_fail(Connection *connection, const char *why)
{
	char	   *reason = copy_text(why);

	if (connection->up)
		metrics.database_losses++;
	let_go(connection);
	/* Not all at the same moment. */
	connection->pause = connection->pause == 0 ? PAUSE_FIRST :
		Min(connection->pause * 2, PAUSE_MOST);
	timer_set(connection->timer, connection->pause + random() % (connection->pause / 2));
	connection->ops->down(connection, connection->arg, reason);
	free(reason);
}

static void
let_go(Connection *connection)
{
	if (connection->resolving)
		conninfo_forget(connection->resolving);
	connection->resolving = NULL;
	if (connection->watch)
		watch_close(connection->watch, NULL);
	connection->watch = NULL;
	PQfinish(connection->pg);
	connection->pg = NULL;
	connection->up = false;
}

void
connection_close(Connection *connection)
{
	let_go(connection);
	timer_close(connection->timer);
	free(connection->text);
	free(connection);
}
