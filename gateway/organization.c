/*
 * organization.c
 *		An organization that somebody listens to: its newest events, read once for all.
 *
 * A message of the database says that there is something.  It is read once, with
 * the secret of any of the clients, and sent to all of them.  What was read is kept for
 * a moment, so that a client that is a little behind need not read again; whoever is
 * further behind reads the log.
 */
#include "organization.h"

#include "check.h"
#include "client.h"
#include "log.h"
#include "loop.h"
#include "map.h"
#include "metrics.h"

/* What is kept for an organization, once everybody was told. */
#define EVENTS_MOST 256
#define BYTES_MOST (128 * 1024)
#define KEEP_TIME 5000

/* Where a reading ends (serve_replay). */
#define BATCH 500
#define BATCH_BYTES (256 * 1024)

static Map *organizations;

static void read_on(Organization *organization);
static void failed(Organization *organization, Client *reader, const Answer *answer);
static void restart(Organization *organization);
static void answered(void *arg, const Answer *answer);
static void take(Organization *organization, const PGresult *result);
static void tell_clients(Organization *organization);
static void drop_first(Organization *organization);
static void forget_if_empty(Organization *organization);

void
organizations_open(void)
{
	organizations = map_make();
	database_on_up(organizations_look);
}

size_t
organizations_count(void)
{
	return map_count(organizations);
}

void
organizations_each(void (*visit) (void *organization, void *arg), void *arg)
{
	map_each(organizations, visit, arg);
}

Organization *
organization_get(const char *name, const Place *at)
{
	Organization *organization = map_get(organizations, name, strlen(name));

	if (organization == NULL)
	{
		organization = allocate(sizeof(Organization));
		organization->name = copy_text(name);
		organization->at = *at;
		organization->heard = at->position;
		map_put(organizations, name, strlen(name), organization);
	}
	return organization;
}

void
organization_add(Organization *organization, Client *client)
{
	client->next = organization->clients;
	if (organization->clients)
		organization->clients->prev = client;
	organization->clients = client;
	organization->nclients++;
}

void
organization_remove(Organization *organization, Client *client)
{
	if (client->next)
		client->next->prev = client->prev;
	if (client->prev)
		client->prev->next = client->next;
	else
		organization->clients = client->next;
	organization->nclients--;
	if (organization->reader == client)
		organization->reader = NULL;
	forget_if_empty(organization);
}

static void
forget_if_empty(Organization *organization)
{
	if (organization->nclients > 0)
		return;
	if (organization->query)
		query_forget(organization->query);
	while (organization->first)
		drop_first(organization);
	map_remove(organizations, organization->name, strlen(organization->name));
	free(organization->name);
	free(organization);
}

static void
drop_first(Organization *organization)
{
	Event	   *event = organization->first;

	organization->first = event->next;
	if (organization->first == NULL)
		organization->last = NULL;
	if (organization->fresh == event)
		organization->fresh = NULL;
	organization->bytes -= event->len;
	organization->events--;
	free(event->type);
	free(event->object);
	free(event);
}

Event *
organization_event_after(Organization *organization, int64_t position)
{
	if (organization->first == NULL || organization->first->prev > position)
		return NULL;
	/* Most clients have seen everything before the last reading. */
	if (organization->fresh && organization->fresh->prev == position)
		return organization->fresh;
	for (Event *event = organization->first; event; event = event->next)
		if (event->place.position > position)
			return event;
	return NULL;
}

void
organization_heard(Organization *organization, int64_t position)
{
	organization->heard = Max(organization->heard, position);
	if (organization->heard > organization->at.position)
		organization->wanted = true;
	if (organization->wanted)
		read_on(organization);
}

void
organization_hint(const char *name, int64_t position, const char *type)
{
	Organization *organization = map_get(organizations, name, strlen(name));

	if (organization == NULL)
		return;
	/* Perhaps somebody is no member any more. */
	if (strncmp(type, "member", 6) == 0)
		check_organization(organization);
	organization_heard(organization, position);
}

static void
look(void *value, void *arg)
{
	Organization *organization = value;
	Client	   *next;

	organization->wanted = true;
	read_on(organization);
	for (Client *client = organization->clients; client; client = next)
	{
		next = client->next;
		if (client->failed)
		{
			client->failed = false;
			client_pump(client);
		}
	}
}

void
organizations_look(void)
{
	map_each(organizations, look, NULL);
}

/* Reads what comes after the newest event, with the secret of one of the clients. */
static void
read_on(Organization *organization)
{
	const char *parameters[3];
	char		digest[2 * DIGEST_SIZE + 3];
	char		cursor[PLACE_TEXT_SIZE];

	if (organization->query || organization->clients == NULL || !database_is_up())
		return;
	organization->wanted = false;
	organization->reader = organization->clients;
	client_digest_text(organization->reader, digest);
	parameters[0] = organization->name;
	parameters[1] = digest;
	parameters[2] = place_text(&organization->at, cursor);
	organization->asked = loop_now();
	metrics.live_reads++;
	if (organization->restarting)
		organization->query = database_ask(PRIORITY_FIRST,
										   "SELECT cursor FROM activity.serve_authenticate($1, $2::bytea)",
										   2, parameters, answered, organization);
	else
		organization->query = database_ask(PRIORITY_FIRST,
										   "SELECT position, cursor_after, event_type, event"
										   " FROM activity.serve_replay($1, $2::bytea, $3, NULL, 500)",
										   3, parameters, answered, organization);
}

static void
answered(void *arg, const Answer *answer)
{
	Organization *organization = arg;
	Client	   *reader = organization->reader;

	organization->query = NULL;
	organization->reader = NULL;
	if (answer->away)
	{
		organization->wanted = true;	/* as soon as it is back */
		return;
	}
	if (answer->result == NULL)
	{
		failed(organization, reader, answer);
		return;
	}
	if (organization->restarting)
	{
		organization->restarting = false;
		place_parse(PQgetvalue(answer->result, 0, 0), &organization->at);
		organization->heard = organization->at.position;
	}
	else
		take(organization, answer->result);
	tell_clients(organization);
}

static void
failed(Organization *organization, Client *reader, const Answer *answer)
{
	bool		is_last = organization->nclients == 1;

	organization->wanted = true;
	if (client_is_lost(answer->sqlstate))
	{
		/* With its last client the organization goes, too. */
		if (reader)
			client_lose(reader, answer->sqlstate);
		if (!is_last)
			read_on(organization);
	}
	else if (strncmp(answer->sqlstate, "AC01", 4) == 0)
		restart(organization);
	else						/* again in a second */
		log_line(LOG_ERROR, "event=read sqlstate=%s reason=%s", answer->sqlstate,
				 log_quote(answer->message));
}

/*
 * Our place is in no history any more, or was dropped by retention: begin again at
 * the head.  Each client's cursor is judged by the database by itself.
 */
static void
restart(Organization *organization)
{
	log_line(LOG_WARNING, "event=restart organization=%s", log_quote(organization->name));
	while (organization->first)
		drop_first(organization);
	organization->restarting = true;
	for (Client *client = organization->clients; client; client = client->next)
		client->verify = true;
	organization->wanted = true;
	read_on(organization);
}

static void
take(Organization *organization, const PGresult *result)
{
	static uint64_t serial = 0;
	int			count = PQntuples(result);
	size_t		bytes = 0;

	organization->fresh = NULL;
	for (int i = 0; i < count; i++)
	{
		Event	   *event = allocate(sizeof(Event));

		event->serial = ++serial;
		event->prev = organization->at.position;
		place_parse(PQgetvalue(result, i, 1), &event->place);
		if (!PQgetisnull(result, i, 3))
		{
			event->type = copy_text(PQgetvalue(result, i, 2));
			event->len = PQgetlength(result, i, 3);
			event->object = copy_bytes(PQgetvalue(result, i, 3), event->len);
		}
		if (organization->last)
			organization->last->next = event;
		else
			organization->first = event;
		organization->last = event;
		if (organization->fresh == NULL)
			organization->fresh = event;
		organization->bytes += event->len;
		bytes += event->len;
		organization->events++;
		organization->at = event->place;
	}
	organization->read_at = loop_now();
	/* A reading that is full, by number or by bytes, is not the last one. */
	if (count >= BATCH || bytes >= BATCH_BYTES ||
		(organization->heard > organization->at.position && count > 0))
		organization->wanted = true;
	else
		organization->heard = organization->at.position;
}

static void
tell_clients(Organization *organization)
{
	Client	   *next;

	organization->nclients++;	/* it stays while we walk */
	for (Client *client = organization->clients; client; client = next)
	{
		next = client->next;
		client_pump(client);
	}
	organization->nclients--;
	if (organization->nclients == 0)
	{
		forget_if_empty(organization);
		return;
	}
	metrics.lag_sum += (loop_now() - organization->asked) / 1000.0;
	metrics.lag_count++;
	while (organization->events > EVENTS_MOST || organization->bytes > BYTES_MOST)
		drop_first(organization);
	if (organization->wanted)
		read_on(organization);
}

static void
tick(void *value, void *arg)
{
	Organization *organization = value;

	if (loop_now() - organization->read_at > KEEP_TIME)
		while (organization->first)
			drop_first(organization);
	if (organization->wanted)
		read_on(organization);
}

void
organizations_tick(void)
{
	map_each(organizations, tick, NULL);
}
