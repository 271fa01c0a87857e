/*
 * stream_listen.c
 *		When a LISTEN client and a replay() client get to know of each event.
 *
 * stream_listen ORGANIZATION SECONDS
 *
 * Listens on channel activity, and with a second connection replays the
 * organization's stream from its head, each time that something came.  A line is: which
 * (listen or replay), the event's id, the time of arrival in microseconds since
 * 1970.  It ends after so many seconds without an event.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include <libpq-fe.h>

static long
now(void)
{
	struct timeval tv;

	gettimeofday(&tv, NULL);
	return tv.tv_sec * 1000000L + tv.tv_usec;
}

static PGresult *
check(PGconn *conn, PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
	{
		fprintf(stderr, "stream_listen: %s", PQerrorMessage(conn));
		exit(1);
	}
	return result;
}

static PGconn *
open_connection(void)
{
	PGconn	   *conn = PQconnectdb("");

	if (PQstatus(conn) != CONNECTION_OK)
	{
		fprintf(stderr, "stream_listen: %s", PQerrorMessage(conn));
		exit(1);
	}
	return conn;
}

static void
replay(PGconn *conn, const char *organization, char *cursor)
{
	const char *values[] = {organization, cursor[0] ? cursor : NULL};
	PGresult   *result = check(conn,
							   PQexecParams(conn,
											"SELECT cursor, id FROM activity.replay($1, $2, NULL, 10000)",
											2, NULL, values, NULL, NULL, 0));
	long		time = now();

	for (int i = 0; i < PQntuples(result); i++)
	{
		printf("replay\t%s\t%ld\n", PQgetvalue(result, i, 1), time);
		strcpy(cursor, PQgetvalue(result, i, 0));
	}
	PQclear(result);
}

int
main(int argc, char **argv)
{
	PGconn	   *listener = open_connection();
	PGconn	   *reader = open_connection();
	char		cursor[64] = "";
	struct pollfd ready = {PQsocket(listener), POLLIN};

	const char *values[] = {argv[1]};
	PGresult   *head;

	PQclear(check(listener, PQexec(listener, "LISTEN activity")));
	head = check(reader,
				 PQexecParams(reader, "SELECT cursor FROM activity.stream_head($1)",
							  1, NULL, values, NULL, NULL, 0));
	strcpy(cursor, PQgetvalue(head, 0, 0));
	PQclear(head);
	while (poll(&ready, 1, atoi(argv[2]) * 1000) > 0)
	{
		PGnotify   *message;
		int			count = 0;

		if (!PQconsumeInput(listener))
			return 1;
		while ((message = PQnotifies(listener)) != NULL)
		{
			const char *id = strstr(message->extra, "\"id\": \"");

			if (id != NULL)
				printf("listen\t%.36s\t%ld\n", id + 7, now());
			PQfreemem(message);
			count++;
		}
		if (count > 0)
			replay(reader, argv[1], cursor);
	}
	return 0;
}
