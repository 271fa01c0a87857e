/*
 * listen.c
 *		A live client: LISTENs on a channel of activity and prints what arrives.
 *
 * listen CHANNEL [MESSAGES] - ends after that many messages; connects as the
 * PG... variables say.  Waits on the socket and never polls the server.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

static void
fail(PGconn *conn)
{
	fprintf(stderr, "listen: %s", PQerrorMessage(conn));
	exit(1);
}

static void
run(PGconn *conn, const char *command)
{
	PGresult   *result = PQexec(conn, command);

	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		fail(conn);
	PQclear(result);
}

int
main(int argc, char **argv)
{
	long		wanted = argc > 2 ? strtol(argv[2], NULL, 10) : -1;
	PGconn	   *conn = PQconnectdb("");
	char		command[256];
	char	   *channel;
	PGnotify   *message;

	if (argc < 2 || strlen(argv[1]) > 63)
	{
		fprintf(stderr, "usage: listen CHANNEL [MESSAGES]\n");
		return 2;
	}
	if (PQstatus(conn) != CONNECTION_OK)
		fail(conn);
	channel = PQescapeIdentifier(conn, argv[1], strlen(argv[1]));
	snprintf(command, sizeof(command), "LISTEN %s", channel);
	PQfreemem(channel);
	run(conn, command);
	printf("listening on %s\n", argv[1]);
	fflush(stdout);

	while (wanted != 0)
	{
		struct pollfd socket = {.fd = PQsocket(conn), .events = POLLIN};

		if (poll(&socket, 1, -1) < 0 || !PQconsumeInput(conn))
			fail(conn);
		while (wanted != 0 && (message = PQnotifies(conn)) != NULL)
		{
			printf("%s\n", message->extra);
			fflush(stdout);
			PQfreemem(message);
			wanted--;
		}
	}
	PQfinish(conn);
	return 0;
}
