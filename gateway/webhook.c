/*
 * webhook.c
 *		Deliveries: claimed, sent, reported.
 *
 * A claim commits before anything is sent, and its lease is short: what a gateway
 * that is killed had claimed is owed again soon.  No more is claimed than can be sent
 * at once.
 */
#include "webhook.h"

#include "database.h"
#include "log.h"
#include "loop.h"
#include "option.h"

#include <jansson.h>

#define CLAIM_MOST 100
#define CLAIM_PAUSE 10			/* between claims, so that hints don't chase one another */
#define LEASE "60 seconds"

static Timer *timer;
static bool claiming = false;
static bool again = false;
static bool soon = false;		/* the timer runs: hints must not put it off */
static bool draining = false;
static int	in_flight = 0;

static void claim(void *arg);
static void claimed(void *arg, const Answer *answer);
static void begin(const PGresult *result, int row);

void
webhook_open(void)
{
	names_open();
	transfers_open();
	timer = timer_open(claim, NULL);
	database_on_up(webhook_look);
}

void
webhook_look(void)
{
	if (timer == NULL || draining)
		return;
	if (claiming)
		again = true;
	else if (!soon)
	{
		soon = true;
		timer_set(timer, CLAIM_PAUSE);
	}
}

void
webhook_tick(void)
{
	names_tick();
	reports_tick();
	webhook_look();
}

void
webhook_drain(void)
{
	draining = true;
}

int
webhook_in_flight(void)
{
	return in_flight;
}

static void
claim(void *arg)
{
	int			wanted = Min(options.webhook_concurrency - in_flight, CLAIM_MOST);
	char		count[16];
	const char *parameters[1] = {count};

	soon = false;
	if (claiming || draining || wanted <= 0 || !database_is_up())
		return;
	claiming = true;
	again = false;
	snprintf(count, sizeof(count), "%d", wanted);
	metrics.claims++;
	database_ask(PRIORITY_FIRST,
				 "SELECT delivery_id, attempt, url, headers, body"
				 " FROM activity.claim_deliveries($1::integer, '" LEASE "')",
				 1, parameters, claimed, NULL);
}

static void
claimed(void *arg, const Answer *answer)
{
	claiming = false;
	if (answer->result == NULL)
	{
		if (!answer->away)
			log_line(LOG_ERROR, "event=claim sqlstate=%s reason=%s", answer->sqlstate,
					 log_quote(answer->message));
		return;
	}
	for (int i = 0; i < PQntuples(answer->result); i++)
		begin(answer->result, i);
	if (again || PQntuples(answer->result) > 0)
		webhook_look();
}

static void
add_fields(Delivery *delivery, const char *json)
{
	json_t	   *object = json_loads(json, 0, NULL);
	const char *name;
	json_t	   *value;

	json_object_foreach(object, name, value)
	{
		Buffer		field = {0};

		if (!json_is_string(value))
			continue;
		buffer_printf(&field, "%s: %s", name, json_string_value(value));
		if (strpbrk(field.data, "\r\n") == NULL)
			delivery->fields = curl_slist_append(delivery->fields, field.data);
		buffer_free(&field);
	}
	json_decref(object);
	delivery->fields = curl_slist_append(delivery->fields, "Expect:");
}

static void
begin(const PGresult *result, int row)
{
	Delivery   *delivery = allocate(sizeof(Delivery));

	in_flight++;
	metrics.claimed++;
	delivery->id = copy_text(PQgetvalue(result, row, 0));
	delivery->attempt = copy_text(PQgetvalue(result, row, 1));
	delivery->url = copy_text(PQgetvalue(result, row, 2));
	add_fields(delivery, PQgetvalue(result, row, 3));
	delivery->body = copy_text(PQgetvalue(result, row, 4));
	delivery_begin(delivery);
}

void
webhook_settled(Delivery *delivery)
{
	in_flight--;
	metrics.reported++;
	curl_slist_free_all(delivery->fields);
	curl_slist_free_all(delivery->resolved);
	buffer_free(&delivery->answer);
	free(delivery->id);
	free(delivery->attempt);
	free(delivery->url);
	free(delivery->body);
	free(delivery->host);
	free(delivery->port);
	free(delivery->error);
	free(delivery->retry_after);
	free(delivery);
	/* Its endpoint may have another one in flight now. */
	webhook_look();
}
