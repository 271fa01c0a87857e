/*
 * export.c
 *		Exports, and verifications: lines that are read as the client takes them.
 *
 * An export may be larger than any memory, so it is read by a cursor, on a connection
 * of its own, and the next piece is asked for when the socket has taken the last one.
 * A piece is what comes within moments, too, because whoever waits for a verification
 * wants to see how far it is.
 * A client that goes away ends it in order, because an export that was broken off is
 * recorded, too.
 */
#include "export.h"

#include "answer.h"
#include "connection.h"
#include "log.h"
#include "loop.h"
#include "option.h"

#define EXPORTS_MOST 8			/* at a time */
#define EXPORTS_OF_ONE 4		/* caller, or one who reads slowly would have them all */
#define PIECE_BYTES (256 * 1024)	/* about what is read at once */
#define PIECE_TIME 100			/* ms, about what it may take */
#define ROWS_MOST 2000
#define ROWS_GROW 16			/* so many times more than before, at most */

typedef enum Step
{
	STEP_CONNECT, STEP_BEGIN, STEP_DECLARE, STEP_FETCH, STEP_CLOSE, STEP_COMMIT, STEP_OVER
} Step;

typedef struct Export Export;

struct Export
{
	Export	   *prev;
	Export	   *next;
	Connection *connection;
	Timer	   *timer;			/* ends it outside of its own calls */
	Http	   *http;			/* NULL: the client has all, or has gone */
	char	   *caller;
	char	   *type;
	char	   *fields;
	char	   *parameters[3];	/* path, query, headers */
	Step		step;			/* what was asked of the database last */
	bool		busy;			/* and is not answered */
	PGresult   *result;
	bool		head_out;
	bool		chunked;
	bool		whole;			/* the client got everything */
	int			rows;			/* to ask for next */
	int64_t		asked_at;
};

static Export *first;
static int	count;

static void up(Connection *connection, void *arg);
static void input(Connection *connection, void *arg);
static void down(Connection *connection, void *arg, const char *why);
static void answered(Export *export, const PGresult *result);
static void rows_came(Export *export, const PGresult *result);
static void choose_rows(Export *export, int rows, size_t bytes);
static void failed(Export *export, const char *state, const char *why);
static bool produce(Http *http, void *arg);
static void produced(void *arg);
static void end(void *arg);

static const ConnectionOps ops = {up, input, down};

static int
count_of(const char *caller)
{
	int			found = 0;

	for (Export *export = first; export; export = export->next)
		found += strcmp(export->caller, caller) == 0;
	return found;
}

void
export_begin(Http *http, const char *caller, const char *type, const char *fields,
			 const char *path, const char *query, const char *headers)
{
	Export	   *export;

	if (count_of(caller) >= EXPORTS_OF_ONE)
	{
		answer_problem(http, 429, "too_many_requests", "there are as many exports and verifications of yours under way as there may be");
		return;
	}
	if (count >= EXPORTS_MOST)
	{
		answer_problem(http, 503, "busy", "there are as many exports under way as there may be");
		return;
	}
	export = allocate(sizeof(Export));
	export->http = http;
	export->caller = copy_text(caller);
	export->type = copy_text(type);
	export->fields = copy_text(fields);
	export->parameters[0] = copy_text(path);
	export->parameters[1] = copy_text(query);
	export->parameters[2] = copy_text(headers);
	export->chunked = http->parser.http_major == 1 && http->parser.http_minor == 1;
	export->rows = 1;
	export->next = first;
	if (first)
		first->prev = export;
	first = export;
	count++;
	export->timer = timer_open(end, export);
	export->connection = connection_open(options.database, &ops, export);
}

static void
ask(Export *export, Step step)
{
	char		fetch[40];
	const char *words[] = {
		[STEP_BEGIN] = "BEGIN",
		[STEP_DECLARE] = "DECLARE lines NO SCROLL CURSOR FOR SELECT activity.serve_lines($1, $2, $3::jsonb)",
		[STEP_FETCH] = fetch,
		[STEP_CLOSE] = "CLOSE lines",
		[STEP_COMMIT] = "COMMIT",
	};

	snprintf(fetch, sizeof(fetch), "FETCH %d lines", export->rows);
	export->step = step;
	export->busy = true;
	export->asked_at = loop_now();
	(void) connection_send(export->connection, words[step], step == STEP_DECLARE ? 3 : 0,
						   (const char *const *) export->parameters);
}

static void
up(Connection *connection, void *arg)
{
	Export	   *export = arg;

	if (export->step == STEP_CONNECT)
		ask(export, STEP_BEGIN);
}

static void
input(Connection *connection, void *arg)
{
	Export	   *export = arg;
	PGconn	   *pg;

	while ((pg = connection_pg(connection)) != NULL && export->busy && !PQisBusy(pg))
	{
		PGresult   *result = PQgetResult(pg);

		if (result)
		{
			PQclear(export->result);
			export->result = result;
			continue;
		}
		result = export->result;
		export->result = NULL;
		export->busy = false;
		answered(export, result);
		PQclear(result);
	}
}

static void
down(Connection *connection, void *arg, const char *why)
{
	Export	   *export = arg;

	export->busy = false;
	if (export->step != STEP_OVER)
		failed(export, "", why);
}

static void
answered(Export *export, const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
	{
		const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

		failed(export, state ? state : "", PQresultErrorMessage(result));
		return;
	}
	switch (export->step)
	{
		case STEP_BEGIN:
			ask(export, STEP_DECLARE);
			break;
		case STEP_DECLARE:
			ask(export, STEP_FETCH);
			break;
		case STEP_FETCH:
			rows_came(export, result);
			break;
		case STEP_CLOSE:
			ask(export, STEP_COMMIT);
			break;
		default:
			export->step = STEP_OVER;
			export->whole = true;
			timer_set(export->timer, 0);
			if (export->http)
				http_more(export->http);
	}
}

static void
send_head(Export *export)
{
	Http	   *http = export->http;
	Buffer		fields = {0};

	buffer_text(&fields, export->fields);
	if (export->chunked)
		buffer_text(&fields, "Transfer-Encoding: chunked\r\n");
	answer_head(http, 200, export->type, fields.data, -1);
	buffer_free(&fields);
	export->head_out = true;
	http_produce(http, produce, produced, export);
}

static void
send_piece(Export *export, const char *bytes, size_t len)
{
	Buffer		piece = {0};

	if (export->chunked)
		buffer_printf(&piece, "%zx\r\n", len);
	buffer_append(&piece, bytes, len);
	if (export->chunked)
		buffer_text(&piece, "\r\n");
	peer_write(export->http->peer, piece.data, piece.len);
	buffer_free(&piece);
}

static void
rows_came(Export *export, const PGresult *result)
{
	Buffer		lines = {0};
	int			n = PQntuples(result);

	/* Nothing is asked for by what we call. */
	export->busy = true;
	if (!export->head_out && export->http)
		send_head(export);
	for (int i = 0; i < n; i++)
	{
		buffer_append(&lines, PQgetvalue(result, i, 0), PQgetlength(result, i, 0));
		buffer_text(&lines, "\n");
	}
	if (n > 0)
		choose_rows(export, n, lines.len);
	if (export->http && export->http->peer && lines.len > 0)
		send_piece(export, lines.data, lines.len);
	buffer_free(&lines);
	export->busy = false;
	if (n == 0 || export->http == NULL)
		ask(export, n == 0 ? STEP_COMMIT : STEP_CLOSE);
	else
		http_more(export->http);
}

/* As many as are a piece, by what the last ones had of bytes and time. */
static void
choose_rows(Export *export, int rows, size_t bytes)
{
	int64_t		took = loop_now() - export->asked_at;
	int64_t		by_bytes = (int64_t) PIECE_BYTES * rows / Max(1, (int64_t) bytes);
	int64_t		by_time = PIECE_TIME * rows / Max(1, took);
	int64_t		most = Min(ROWS_MOST, (int64_t) ROWS_GROW * rows);

	export->rows = Max(1, Min(most, Min(by_bytes, by_time)));
}

/* Before the head is out, it is told; then the answer lacks its end. */
static void
failed(Export *export, const char *state, const char *why)
{
	Http	   *http = export->http;

	log_line(LOG_WARNING, "event=export sqlstate=%s reason=%s", state, log_quote(why));
	export->step = STEP_OVER;
	timer_set(export->timer, 0);
	if (http && export->head_out)
		http_more(http);
	else if (http)
	{
		export->http = NULL;
		answer_problem(http, 503, "unavailable", "the export could not be begun");
	}
}

/* There is room: the next rows are wanted, unless all are out or will not come. */
static bool
produce(Http *http, void *arg)
{
	Export	   *export = arg;

	if (export->step != STEP_OVER)
	{
		http_wait(http);
		if (!export->busy)
			ask(export, STEP_FETCH);
		return true;
	}
	if (export->whole && export->chunked)
		peer_write(http->peer, "0\r\n\r\n", 5);
	return false;
}

/* The client has everything, or has gone. */
static void
produced(void *arg)
{
	Export	   *export = arg;

	export->http = NULL;
	if (export->step == STEP_FETCH && !export->busy)
		ask(export, STEP_CLOSE);
}

static void
end(void *arg)
{
	Export	   *export = arg;

	/* What the client has not taken yet, it gets first; it needs us no more. */
	if (export->http)
	{
		timer_set(export->timer, 1000);
		return;
	}
	connection_close(export->connection);
	timer_close(export->timer);
	PQclear(export->result);
	free(export->caller);
	free(export->type);
	free(export->fields);
	for (int i = 0; i < 3; i++)
		free(export->parameters[i]);
	if (export->prev)
		export->prev->next = export->next;
	else
		first = export->next;
	if (export->next)
		export->next->prev = export->prev;
	count--;
	free(export);
}
