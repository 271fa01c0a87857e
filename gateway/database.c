/*
 * database.c
 *		Queries: few connections, a queue before them, answers by callback.
 *
 * A request to the API may take long, and a client may make many at once.  So they
 * never have all of the connections, if there are more than one: no number of slow
 * requests stops the streams and the webhooks.  Nor do those of one caller have all
 * that requests may have, and they wait behind each other only: no number of slow
 * requests of his stops another's.
 */
#include "database.h"

#include "connection.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"
#include "turn.h"

#include <limits.h>

#define QUERY_TIME 45000		/* then the connection is given up */
#define CROWD 30000
#define LOG_INTERVAL 5000

struct Query
{
	Query	   *next;
	Priority	priority;
	bool		may_fall_back;	/* where the reader fails, the primary is asked */
	char	   *caller;			/* of the third priority: whose it is */
	Turn	   *turn;			/* where it waits, or runs, as his */
	char	   *sql;
	int			count;
	char	  **parameters;
	AnswerFn	fn;				/* NULL: forgotten */
	void	   *arg;
};

typedef struct Pool Pool;

typedef struct Queue
{
	Query	   *first;
	Query	  **end;
	int			count;
} Queue;

typedef struct Worker
{
	Pool	   *pool;
	Connection *connection;
	Query	   *query;			/* that runs */
	PGresult   *result;			/* of it, so far */
	int64_t		began;
} Worker;

/* Connections to one server, and what waits for them. */
struct Pool
{
	Worker	   *workers;
	int			count;
	Queue		queues[PRIORITY_THIRD];
	Turns	   *turns;			/* of the third */
	bool		was_up;
	char		problem[512];
	const char *name;			/* in the log */
};

static Pool primary = {.name = "database"};
static Pool reader = {.name = "read_database"};
static Timer *clock_timer;
static Timer *dispatch_timer;
static void (*up_functions[8]) (void);
static int	nup;

static void up(Connection *connection, void *arg);
static void input(Connection *connection, void *arg);
static void down(Connection *connection, void *arg, const char *why);
static void check_times(void *arg);
static void dispatch_later(void *arg);
static void dispatch(Pool *pool);
static void settle(Pool *pool, Query *query, const Answer *answer);
static void fail_queue(Pool *pool);
static int	count_up(const Pool *pool);
static int	count_waiting(const Pool *pool);

static const ConnectionOps ops = {up, input, down};

static void
open_pool(Pool *pool, const char *conninfo, int connections)
{
	for (int i = 0; i < PRIORITY_THIRD; i++)
		pool->queues[i].end = &pool->queues[i].first;
	pool->turns = turns_make();
	pool->count = connections;
	pool->workers = allocate(sizeof(Worker) * connections);
	for (int i = 0; i < connections; i++)
	{
		pool->workers[i].pool = pool;
		pool->workers[i].connection = connection_open(conninfo, &ops, &pool->workers[i]);
	}
}

void
database_open(const char *conninfo, int connections)
{
	open_pool(&primary, conninfo, connections);
	clock_timer = timer_open(check_times, NULL);
	timer_repeat(clock_timer, 1000);
	dispatch_timer = timer_open(dispatch_later, NULL);
}

void
database_open_reader(const char *conninfo, int connections)
{
	open_pool(&reader, conninfo, connections);
}

static void
end_turn(Pool *pool, Query *query)
{
	if (query->turn)
		turns_over(pool->turns, query->turn);
	query->turn = NULL;
}

static void
free_query(Pool *pool, Query *query)
{
	end_turn(pool, query);
	for (int i = 0; i < query->count; i++)
		free(query->parameters[i]);
	free(query->parameters);
	free(query->sql);
	free(query->caller);
	free(query);
}

static void
close_pool(Pool *pool)
{
	Query	   *query;

	for (int i = 0; i < pool->count; i++)
	{
		connection_close(pool->workers[i].connection);
		PQclear(pool->workers[i].result);
		if (pool->workers[i].query)
			free_query(pool, pool->workers[i].query);
	}
	for (int i = 0; i < PRIORITY_THIRD; i++)
	{
		Query	   *next;

		for (query = pool->queues[i].first; query; query = next)
		{
			next = query->next;
			free_query(pool, query);
		}
	}
	while (pool->turns && (query = turns_take(pool->turns, INT_MAX)) != NULL)
		free_query(pool, query);
	if (pool->turns)
		turns_free(pool->turns);
	pool->turns = NULL;
	free(pool->workers);
	pool->count = 0;
}

void
database_close(void)
{
	timer_close(clock_timer);
	timer_close(dispatch_timer);
	close_pool(&reader);
	close_pool(&primary);
}

static void
enqueue(Pool *pool, Query *query)
{
	if (query->priority == PRIORITY_THIRD)
		query->turn = turns_add(pool->turns, query->caller, query);
	else
	{
		Queue	   *queue = &pool->queues[query->priority];

		query->next = NULL;
		*queue->end = query;
		queue->end = &query->next;
		queue->count++;
	}
	/* Not now: it could fail, and nobody expects an answer yet. */
	timer_set(dispatch_timer, 0);
}

static Query *
make_query(Priority priority, const char *sql, int count,
		   const char *const *parameters, AnswerFn fn, void *arg)
{
	Query	   *query = allocate(sizeof(Query));

	query->priority = priority;
	query->sql = copy_text(sql);
	query->count = count;
	query->parameters = allocate(sizeof(char *) * (count + 1));
	for (int i = 0; i < count; i++)
		query->parameters[i] = parameters[i] ? copy_text(parameters[i]) : NULL;
	query->fn = fn;
	query->arg = arg;
	metrics.queries++;
	return query;
}

Query *
database_ask(Priority priority, const char *sql, int count,
			 const char *const *parameters, AnswerFn fn, void *arg)
{
	Query	   *query = make_query(priority, sql, count, parameters, fn, arg);

	Assert(priority < PRIORITY_THIRD);
	enqueue(&primary, query);
	return query;
}

Query *
database_ask_for(const char *caller, const char *sql, int count,
				 const char *const *parameters, AnswerFn fn, void *arg)
{
	Query	   *query = make_query(PRIORITY_THIRD, sql, count, parameters, fn, arg);

	query->caller = copy_text(caller);
	enqueue(&primary, query);
	return query;
}

Query *
database_ask_reader_for(const char *caller, const char *sql, int count,
						const char *const *parameters, AnswerFn fn, void *arg)
{
	Query	   *query = make_query(PRIORITY_THIRD, sql, count, parameters, fn, arg);

	query->caller = copy_text(caller);
	query->may_fall_back = true;
	metrics.reader_queries++;
	enqueue(&reader, query);
	return query;
}

Query *
database_ask_reader(Priority priority, const char *sql, int count,
					const char *const *parameters, bool may_fall_back, AnswerFn fn, void *arg)
{
	Query	   *query = make_query(priority, sql, count, parameters, fn, arg);

	Assert(priority < PRIORITY_THIRD);
	metrics.reader_queries++;
	query->may_fall_back = may_fall_back;
	enqueue(&reader, query);
	return query;
}

void
query_forget(Query *query)
{
	query->fn = NULL;
}

/* How many run of what may take long. */
static int
count_long(const Pool *pool)
{
	int			count = 0;

	for (int i = 0; i < pool->count; i++)
		count += pool->workers[i].query && pool->workers[i].query->priority == PRIORITY_THIRD;
	return count;
}

/* Of each caller so many run at most. */
static Query *
take_long(Pool *pool, int most)
{
	Query	   *query;

	while ((query = turns_take(pool->turns, most)) != NULL)
	{
		if (query->fn)
			return query;
		free_query(pool, query);	/* nobody waits for it any more */
	}
	return NULL;
}

static Query *
take_short(Pool *pool)
{
	for (int i = 0; i < PRIORITY_THIRD; i++)
	{
		Queue	   *queue = &pool->queues[i];

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
			free_query(pool, query);
		}
	}
	return NULL;
}

static void
dispatch_later(void *arg)
{
	dispatch(&primary);
	dispatch(&reader);
}

static void
dispatch(Pool *pool)
{
	for (int i = 0; i < pool->count; i++)
	{
		Worker	   *worker = &pool->workers[i];

		if (worker->query || connection_pg(worker->connection) == NULL)
			continue;
		worker->query = take_short(pool);
		if (worker->query == NULL && count_long(pool) < Max(pool->count - 1, 1))
			worker->query = take_long(pool, Max(pool->count - 2, 1));
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
	Pool	   *pool = ((Worker *) arg)->pool;

	pool->problem[0] = '\0';
	dispatch(pool);
	if (pool->was_up)
		return;
	pool->was_up = true;
	log_line(LOG_INFO, "event=%s state=up", pool->name);
	for (int i = 0; i < nup && pool == &primary; i++)
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
		answer.is_reader = worker->pool == &reader;
		settle(worker->pool, query, &answer);
		PQclear(result);
		dispatch(worker->pool);
		pg = connection_pg(connection);
	}
	/* Nobody listens here, but a pooler may have left something behind. */
	while (pg && (notify = PQnotifies(pg)) != NULL)
		PQfreemem(notify);
}

/* What a reader could not do, and the primary can: it was away, or was to write. */
static bool
falls_back(const Query *query, const Answer *answer)
{
	return query->may_fall_back && answer->result == NULL &&
		(answer->away || strcmp(answer->sqlstate, "25006") == 0 ||
		 strcmp(answer->sqlstate, "40001") == 0 || strcmp(answer->sqlstate, "40P01") == 0);
}

static void
settle(Pool *pool, Query *query, const Answer *answer)
{
	if (answer->result == NULL)
		metrics.query_failures++;
	if (pool == &reader && query->fn && falls_back(query, answer))
	{
		query->may_fall_back = false;
		metrics.reader_fallbacks++;
		end_turn(pool, query);
		enqueue(&primary, query);
		return;
	}
	if (query->fn)
		query->fn(query->arg, answer);
	free_query(pool, query);
}

static void
down(Connection *connection, void *arg, const char *why)
{
	static int64_t logged = -LOG_INTERVAL;
	Worker	   *worker = arg;
	Pool	   *pool = worker->pool;
	Query	   *query = worker->query;
	Answer		answer = {.away = true, .message = why};

	snprintf(pool->problem, sizeof(pool->problem), "%s", why);
	if (loop_now() - logged >= LOG_INTERVAL)
	{
		logged = loop_now();
		log_line(LOG_WARNING, "event=%s state=down reason=%s", pool->name, log_quote(why));
	}
	PQclear(worker->result);
	worker->result = NULL;
	worker->query = NULL;
	if (query)
		settle(pool, query, &answer);
	if (count_up(pool) == 0)
	{
		pool->was_up = false;
		fail_queue(pool);
	}
}

/* Nobody waits for a database that is away. */
static void
fail_queue(Pool *pool)
{
	Answer		answer = {.away = true, .message = pool->problem};
	int			count = count_waiting(pool);

	/* What is asked meanwhile waits for the next time. */
	while (count-- > 0)
	{
		Query	   *query = take_short(pool);

		if (query == NULL)
			query = take_long(pool, INT_MAX);
		if (query == NULL)
			return;
		settle(pool, query, &answer);
	}
}

static void
check_pool(Pool *pool)
{
	if (count_up(pool) == 0)
		fail_queue(pool);
	for (int i = 0; i < pool->count; i++)
		if (pool->workers[i].query && loop_now() - pool->workers[i].began > QUERY_TIME &&
			connection_pg(pool->workers[i].connection))
			connection_fail(pool->workers[i].connection, "the database did not answer in time");
}

static void
check_times(void *arg)
{
	check_pool(&primary);
	check_pool(&reader);
}

static int
count_up(const Pool *pool)
{
	int			count = 0;

	for (int i = 0; i < pool->count; i++)
		count += connection_pg(pool->workers[i].connection) != NULL;
	return count;
}

static int
count_waiting(const Pool *pool)
{
	int			count = pool->turns ? turns_count(pool->turns) : 0;

	for (int i = 0; i < PRIORITY_THIRD; i++)
		count += pool->queues[i].count;
	return count;
}

int
database_up_count(void)
{
	return count_up(&primary);
}

int
database_reader_up_count(void)
{
	return count_up(&reader);
}

bool
database_is_up(void)
{
	return count_up(&primary) > 0;
}

const char *
database_problem(void)
{
	return primary.problem;
}

int
database_queue(void)
{
	return count_waiting(&primary) + count_waiting(&reader);
}

bool
database_is_crowded(void)
{
	return primary.queues[PRIORITY_SECOND].count > CROWD ||
		turns_count(primary.turns) > CROWD;
}
