/*
 * listen.c
 *		Live messages of the database.
 *
 * A message is a hint: it says that something is there to be read.  When the
 * connection was lost, messages may have been, too, so everybody looks.
 */
#include "listen.h"

#include "check.h"
#include "connection.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"
#include "organization.h"
#include "publish.h"
#include "webhook.h"

#include <jansson.h>

static Connection *connection;
static bool listening;			/* both statements have been sent */

static void up(Connection *which, void *arg);
static void input(Connection *which, void *arg);
static void down(Connection *which, void *arg, const char *why);
static void take(const PGnotify *notify);

static const ConnectionOps ops = {up, input, down};

void
listen_open(const char *conninfo)
{
	connection = connection_open(conninfo, &ops, NULL);
}

void
listen_close(void)
{
	connection_close(connection);
	connection = NULL;
}

bool
listen_is_up(void)
{
	return connection && connection_pg(connection) != NULL;
}

static void
up(Connection *which, void *arg)
{
	listening = false;
	/* One statement at a time: the other one follows in input(). */
	connection_send(which, "LISTEN activity", 0, NULL);
}

static void
input(Connection *which, void *arg)
{
	PGconn	   *pg = connection_pg(which);
	PGnotify   *notify;

	while (pg && !PQisBusy(pg))
	{
		PGresult   *result = PQgetResult(pg);
		bool		failed;

		if (result)
		{
			failed = PQresultStatus(result) != PGRES_COMMAND_OK;
			PQclear(result);
			if (failed)
			{
				connection_fail(which, PQerrorMessage(pg));
				return;
			}
			continue;
		}
		if (listening)
			break;
		listening = true;
		if (!connection_send(which, "LISTEN activity_connection", 0, NULL))
			return;
		/* What came in between is read now. */
		organizations_look();
		webhook_look();
	}
	while (pg && (notify = PQnotifies(pg)) != NULL)
	{
		take(notify);
		PQfreemem(notify);
	}
}

static void
down(Connection *which, void *arg, const char *why)
{
	log_line(listening ? LOG_WARNING : LOG_DEBUG, "event=listen state=down reason=%s",
			 log_quote(why));
	listening = false;
}

static void
take(const PGnotify *notify)
{
	json_t	   *message;
	const char *organization;
	const char *type;
	json_t	   *position;

	metrics.notifications++;
	if (strcmp(notify->relname, "activity_connection") == 0)
	{
		check_connection(notify->extra);
		return;
	}
	message = json_loads(notify->extra, 0, NULL);
	organization = json_string_value(json_object_get(message, "organization"));
	type = json_string_value(json_object_get(message, "type"));
	position = json_object_get(message, "position");
	/* Without a position nobody publishes in the background: we do. */
	if (!json_is_integer(position))
		publish_soon();
	else if (organization)
		organization_hint(organization, json_integer_value(position), type ? type : "");
	webhook_look();
	json_decref(message);
}
