/*
 * database.c
 *		Queries: few connections, a queue before them, answers by callback.
 *
 * A request to the API may take long, and a client may make many at once.  So they
 * never have all of the connections, if there are more than one: no number of slow
 * requests stops the streams and the webhooks.
 */
#include "database.h"

#include "connection.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"

#define QUERY_TIME 45000		/* then the connection is given up */
#define CROWD 30000
#define LOG_INTERVAL 5000

struct Query
{
	Query	   *next;
	Priority	priority;
	char	   *sql;
	int			count;
	char	  **parameters;
	AnswerFn	fn;				/* NULL: forgotten */
	void	   *arg;
};

typedef struct Queue
{
	Query	   *first;
	Query	  **end;
	int			count;
} Queue;

typedef struct Worker
{
	Connection *connection;
	Query	   *query;			/* that runs */
	PGresult   *result;			/* of it, so far */
	int64_t		began;
} Worker;

static Worker *workers;
static int	nworkers;
static Queue queues[PRIORITIES];
static Timer *clock_timer;
static Timer *dispatch_timer;
static bool was_up = false;
static char problem[512];
static void (*up_functions[8]) (void);
static int	nup;

static void up(Connection *connection, void *arg);
static void input(Connection *connection, void *arg);
static void down(Connection *connection, void *arg, const char *why);
static void check_times(void *arg);
static void dispatch_later(void *arg);
static void dispatch(void);
static void settle(Query *query, const Answer *answer);
static void fail_queue(void);

static const ConnectionOps ops = {up, input, down};

void
database_open(const char *conninfo, int connections)
{
	for (int i = 0; i < PRIORITIES; i++)
		queues[i].end = &queues[i].first;
	nworkers = connections;
	workers = allocate(sizeof(Worker) * connections);
	for (int i = 0; i < connections; i++)
		workers[i].connection = connection_open(conninfo, &ops, &workers[i]);
	clock_timer = timer_open(check_times, NULL);
	timer_repeat(clock_timer, 1000);
	dispatch_timer = timer_open(dispatch_later, NULL);
}

static void
free_query(Query *query)
{
	for (int i = 0; i < query->count; i++)
		free(query->parameters[i]);
	free(query->parameters);
	free(query->sql);
	free(query);
}

void
database_close(void)
{
	timer_close(clock_timer);
	timer_close(dispatch_timer);
	for (int i = 0; i < nworkers; i++)
	{
		connection_close(workers[i].connection);
		PQclear(workers[i].result);
		if (workers[i].query)
			free_query(workers[i].query);
	}
	for (int i = 0; i < PRIORITIES; i++)
	{
		Query	   *next;

		for (Query *query = queues[i].first; query; query = next)
		{
			next = query->next;
			free_query(query);
		}
	}
	free(workers);
	nworkers = 0;
}

Query *
database_ask(Priority priority, const char *sql, int count,
			 const char *const *parameters, AnswerFn fn, void *arg)
{
	Query	   *query = allocate(sizeof(Query));
	Queue	   *queue = &queues[priority];

	query->priority = priority;
	query->sql = copy_text(sql);
	query->count = count;
	query->parameters = allocate(sizeof(char *) * (count + 1));
	for (int i = 0; i < count; i++)
		query->parameters[i] = parameters[i] ? copy_text(parameters[i]) : NULL;
	query->fn = fn;
	query->arg = arg;
	*queue->end = query;
	queue->end = &query->next;
	queue->count++;
	metrics.queries++;
	/* Not now: it could fail, and nobody expects an answer yet. */
	timer_set(dispatch_timer, 0);
	return query;
}

void
query_forget(Query *query)
{
	query->fn = NULL;
}

/* How many run of what may take long. */
static int
count_long(void)
{
	int			count = 0;

	for (int i = 0; i < nworkers; i++)
		count += workers[i].query && workers[i].query->priority == PRIORITY_THIRD;
	return count;
}

static Query *
take_query(Priority last)
{
	for (int i = 0; i <= (int) last; i++)
	{
		Queue	   *queue = &queues[i];

		while (queue->first)
		{
			Query	   *query = queue->first;

			queue->first = query->next;
			if (queue->first == NULL)
				queue->end = &queue->first;
			queue->count--;
			query->next = NULL;
			if (query->fn)
				return query;
			free_query(query);	/* nobody waits for it any more */
		}
	}
	return NULL;
}

static void
dispatch_later(void *arg)
{
	dispatch();
}

static void
dispatch(void)
{
	for (int i = 0; i < nworkers; i++)
	{
		Worker	   *worker = &workers[i];

		if (worker->query || connection_pg(worker->connection) == NULL)
			continue;
		worker->query = take_query(count_long() < Max(nworkers - 1, 1) ?
								   PRIORITY_THIRD : PRIORITY_SECOND);
		if (worker->query == NULL)
			return;
		worker->began = loop_now();
		connection_send(worker->connection, worker->query->sql, worker->query->count,
						(const char *const *) worker->query->parameters);
	}
}

static void
up(Connection *connection, void *arg)
{
	problem[0] = '\0';
	dispatch();
	if (was_up)
		return;
	was_up = true;
	log_line(LOG_INFO, "event=database state=up");
	for (int i = 0; i < nup; i++)
		up_functions[i] ();
}

void
database_on_up(void (*fn) (void))
{
	Assert(nup < 8);
	up_functions[nup++] = fn;
}

static void
input(Connection *connection, void *arg)
{
	Worker	   *worker = arg;
	PGconn	   *pg = connection_pg(connection);
	PGnotify   *notify;

	while (pg && !PQisBusy(pg))
	{
		PGresult   *result = PQgetResult(pg);
		Query	   *query = worker->query;
		Answer		answer = {0};

		if (result)
		{
			PQclear(worker->result);
			worker->result = result;
			continue;
		}
		if (query == NULL)
			break;
		result = worker->result;
		worker->result = NULL;
		worker->query = NULL;
		if (PQresultStatus(result) == PGRES_TUPLES_OK || PQresultStatus(result) == PGRES_COMMAND_OK)
			answer.result = result;
		else
		{
			const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
			const char *words = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

			snprintf(answer.sqlstate, sizeof(answer.sqlstate), "%s", state ? state : "XX000");
			answer.message = words ? words : PQerrorMessage(pg);
			/* The server is stopping, or starting. */
			answer.away = strncmp(answer.sqlstate, "57P", 3) == 0;
		}
		settle(query, &answer);
		PQclear(result);
		dispatch();
		pg = connection_pg(connection);
	}
	/* Nobody listens here, but a pooler may have left something behind. */
	while (pg && (notify = PQnotifies(pg)) != NULL)
		PQfreemem(notify);
}

static void
settle(Query *query, const Answer *answer)
{
	if (answer->result == NULL)
		metrics.query_failures++;
	if (query->fn)
		query->fn(query->arg, answer);
	free_query(query);
}

static void
down(Connection *connection, void *arg, const char *why)
{
	static int64_t logged = -LOG_INTERVAL;
	Worker	   *worker = arg;
	Query	   *query = worker->query;
	Answer		answer = {.away = true, .message = why};

	snprintf(problem, sizeof(problem), "%s", why);
	if (loop_now() - logged >= LOG_INTERVAL)
	{
		logged = loop_now();
		log_line(LOG_WARNING, "event=database state=down reason=%s", log_quote(why));
	}
	PQclear(worker->result);
	worker->result = NULL;
	worker->query = NULL;
	if (query)
		settle(query, &answer);
	if (!database_is_up())
	{
		was_up = false;
		fail_queue();
	}
}

/* Nobody waits for a database that is away. */
static void
fail_queue(void)
{
	Answer		answer = {.away = true, .message = problem};
	int			count = database_queue();

	/* What is asked meanwhile waits for the next time. */
	while (count-- > 0)
	{
		Query	   *query = take_query(PRIORITY_THIRD);

		if (query == NULL)
			return;
		settle(query, &answer);
	}
}

static void
check_times(void *arg)
{
	if (!database_is_up())
		fail_queue();
	for (int i = 0; i < nworkers; i++)
		if (workers[i].query && loop_now() - workers[i].began > QUERY_TIME &&
			connection_pg(workers[i].connection))
			connection_fail(workers[i].connection, "the database did not answer in time");
}

int
database_up_count(void)
{
	int			count = 0;

	for (int i = 0; i < nworkers; i++)
		count += connection_pg(workers[i].connection) != NULL;
	return count;
}

bool
database_is_up(void)
{
	return database_up_count() > 0;
}

const char *
database_problem(void)
{
	return problem;
}

int
database_queue(void)
{
	int			count = 0;

	for (int i = 0; i < PRIORITIES; i++)
		count += queues[i].count;
	return count;
}

bool
database_is_crowded(void)
{
	return queues[PRIORITY_SECOND].count > CROWD || queues[PRIORITY_THIRD].count > CROWD;
}
