/*
 * report.c
 *		What came of attempts, told to the database, many in one statement.
 *
 * While the database is away reports wait, and their deliveries count as in flight,
 * so there are never more of them than those.
 */
#include "webhook.h"

#include "database.h"
#include "log.h"
#include "utf8.h"

#define BATCH 100
#define COLUMNS 7

static Delivery *waiting;
static Delivery **waiting_end = &waiting;
static Delivery *sent;			/* in the statement that runs */
static bool running = false;
static int	batch = BATCH;		/* 1 after an error, to find out whose it is */
static int	count = 0;

static void send_some(void);
static void reported(void *arg, const Answer *answer);

int
reports_waiting(void)
{
	return count;
}

void
report(Delivery *delivery)
{
	delivery->next = NULL;
	*waiting_end = delivery;
	waiting_end = &delivery->next;
	count++;
	send_some();
}

void
reports_tick(void)
{
	send_some();
}

static void
add(Buffer *array, const char *value)
{
	buffer_text(array, array->len == 0 ? "{" : ",");
	if (value)
		buffer_array_element(array, value);
	else
		buffer_text(array, "NULL");
}

static void
add_row(Buffer *arrays, const Delivery *delivery)
{
	Buffer		body = {0};
	Buffer		error = {0};
	Buffer		retry = {0};
	char		status[16];
	char		duration[32];

	utf8_append_clean(&body, delivery->answer.data, delivery->answer.len);
	utf8_append_clean(&error, delivery->error, delivery->error ? strlen(delivery->error) : 0);
	utf8_append_clean(&retry, delivery->retry_after,
					  delivery->retry_after ? strlen(delivery->retry_after) : 0);
	snprintf(status, sizeof(status), "%d",
			 delivery->outcome == OUTCOME_OWN ? -1 : delivery->status);
	snprintf(duration, sizeof(duration), "%.6f", delivery->duration);
	add(&arrays[0], delivery->id);
	add(&arrays[1], delivery->attempt);
	add(&arrays[2], strcmp(status, "0") == 0 ? NULL : status);
	add(&arrays[3], error.data);
	add(&arrays[4], duration);
	add(&arrays[5], body.data);
	add(&arrays[6], retry.data);
	buffer_free(&body);
	buffer_free(&error);
	buffer_free(&retry);
}

static void
send_some(void)
{
	Buffer		arrays[COLUMNS] = {{0}};
	const char *parameters[COLUMNS];
	Delivery  **end = &sent;

	if (running || waiting == NULL || !database_is_up())
		return;
	for (int i = 0; waiting && i < batch; i++)
	{
		Delivery   *delivery = waiting;

		waiting = delivery->next;
		delivery->next = NULL;
		*end = delivery;
		end = &delivery->next;
		add_row(arrays, delivery);
	}
	if (waiting == NULL)
		waiting_end = &waiting;
	for (int i = 0; i < COLUMNS; i++)
	{
		buffer_text(&arrays[i], "}");
		parameters[i] = arrays[i].data;
	}
	running = true;
	database_ask(PRIORITY_FIRST,
				 "SELECT activity.report_delivery(r.id, r.attempt, r.status, r.error,"
				 " pg_catalog.make_interval(secs => r.duration), r.body, activity.retry_after(r.retry))"
				 " FROM ROWS FROM (pg_catalog.unnest($1::uuid[]), pg_catalog.unnest($2::integer[]),"
				 " pg_catalog.unnest($3::integer[]), pg_catalog.unnest($4::text[]),"
				 " pg_catalog.unnest($5::float8[]), pg_catalog.unnest($6::text[]), pg_catalog.unnest($7::text[]))"
				 " AS r (id, attempt, status, error, duration, body, retry)",
				 COLUMNS, parameters, reported, NULL);
	for (int i = 0; i < COLUMNS; i++)
		buffer_free(&arrays[i]);
}

/* Puts them back in front of the queue. */
static void
put_back(void)
{
	Delivery  **end = &sent;

	while (*end)
		end = &(*end)->next;
	*end = waiting;
	if (waiting == NULL)
		waiting_end = end;
	waiting = sent;
	sent = NULL;
}

static void
reported(void *arg, const Answer *answer)
{
	running = false;
	if (answer->away)
	{
		put_back();
		return;					/* once a second */
	}
	if (answer->result == NULL && batch > 1)
	{
		batch = 1;
		put_back();
		send_some();
		return;
	}
	/* One that can't be reported is owed again when its lease ends. */
	if (answer->result == NULL)
		log_line(LOG_ERROR, "event=report delivery=%s sqlstate=%s reason=%s", sent->id,
				 answer->sqlstate, log_quote(answer->message));
	else
		batch = Min(batch * 2, BATCH);
	while (sent)
	{
		Delivery   *next = sent->next;

		count--;
		webhook_settled(sent);
		sent = next;
	}
	send_some();
}
