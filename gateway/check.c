/*
 * check.c
 *		Whether those who listen still may.
 *
 * The database says so when a secret is revoked, and an event when a member leaves,
 * mostly.  But tiers change without an event, and a membership can, too.  So once a
 * second some are asked about: one client of each organization, for its tier, and
 * those who were not asked about for longest.  Up to ROUND clients, everybody is asked
 * about each second.
 */
#include "check.h"

#include "loop.h"

#define ROUND 500				/* in one question */

static Client *first;			/* the longest unasked */
static Client *last;
static Client *asked[ROUND + 1];	/* by their number; NULL: has gone */
static int	nasked;
static Query *query;
static Client *urgent;			/* asked about as soon as the query is answered: from first to here */
static Timer *timer;
static bool soon = false;		/* the timer runs */

static void ask(void);

void
check_add(Client *client)
{
	client->check_prev = last;
	client->check_next = NULL;
	if (last)
		last->check_next = client;
	else
		first = client;
	last = client;
}

static void
unlink_client(Client *client)
{
	if (client->check_prev)
		client->check_prev->check_next = client->check_next;
	else
		first = client->check_next;
	if (client->check_next)
		client->check_next->check_prev = client->check_prev;
	else
		last = client->check_prev;
	if (urgent == client)
		urgent = client->check_prev;
}

void
check_remove(Client *client)
{
	unlink_client(client);
	if (client->checking)
		asked[client->checking] = NULL;
}

/* Its turn is next. */
static void
hurry(Client *client)
{
	unlink_client(client);
	client->check_prev = NULL;
	client->check_next = first;
	if (first)
		first->check_prev = client;
	else
		last = client;
	first = client;
	if (urgent == NULL)
		urgent = client;
}

static void
answered(void *arg, const Answer *answer)
{
	query = NULL;
	for (int i = 0; answer->result && i < PQntuples(answer->result); i++)
	{
		int			number = atoi(PQgetvalue(answer->result, i, 0));
		Client	   *client = number > 0 && number <= nasked ? asked[number] : NULL;
		const char *problem = PQgetvalue(answer->result, i, 1);

		if (client == NULL)
			continue;
		if (client_is_lost(problem))
		{
			/* With a tier everybody's right is lost. */
			if (strcmp(problem, "42501") == 0)
				for (Client *other = client->organization->clients; other; other = other->next)
					if (!other->checking)
						hurry(other);
			client_lose(client, problem);
		}
		else if (!PQgetisnull(answer->result, i, 2))
			organization_heard(client->organization, atoll(PQgetvalue(answer->result, i, 2)));
	}
	for (int i = 1; i <= nasked; i++)
		if (asked[i])
			asked[i]->checking = 0;
	nasked = 0;
	if (urgent)
		ask();
}

static void
take(Client *client, Buffer *organizations, Buffer *digests)
{
	char		digest[2 * DIGEST_SIZE + 3];

	if (client->checking || client->state == CLIENT_OVER)
		return;
	buffer_text(organizations, nasked ? "," : "{");
	buffer_text(digests, nasked ? "," : "{");
	buffer_array_element(organizations, client->organization->name);
	client_digest_text(client, digest);
	buffer_array_element(digests, digest);
	asked[++nasked] = client;
	client->checking = nasked;
}

typedef struct Texts
{
	Buffer		organizations;
	Buffer		digests;
} Texts;

/* One client stands for the organization. */
static void
take_one(void *value, void *arg)
{
	Organization *organization = value;
	Texts	   *texts = arg;

	if (nasked < ROUND / 2 && organization->clients)
		take(organization->clients, &texts->organizations, &texts->digests);
}

static void
ask(void)
{
	Texts		texts = {{0}, {0}};
	const char *parameters[2];

	if (query || first == NULL || !database_is_up())
		return;
	nasked = 0;
	if (urgent == NULL)
		organizations_each(take_one, &texts);
	for (int i = 0; i < ROUND && nasked < ROUND; i++)
	{
		Client	   *client = first;

		if (client == urgent)
			urgent = NULL;
		unlink_client(client);
		check_add(client);
		take(client, &texts.organizations, &texts.digests);
	}
	if (nasked > 0)
	{
		buffer_text(&texts.organizations, "}");
		buffer_text(&texts.digests, "}");
		parameters[0] = texts.organizations.data;
		parameters[1] = texts.digests.data;
		query = database_ask(PRIORITY_FIRST,
							 "SELECT number, problem, position FROM activity.serve_check($1::text[], $2::bytea[])",
							 2, parameters, answered, NULL);
	}
	buffer_free(&texts.organizations);
	buffer_free(&texts.digests);
}

void
checks_tick(void)
{
	ask();
}

/* Not more than once in a tenth of a second, and not within whoever calls. */
static void
on_timer(void *arg)
{
	soon = false;
	ask();
}

static void
ask_soon(void)
{
	if (timer == NULL)
		timer = timer_open(on_timer, NULL);
	if (!soon)
		timer_set(timer, 100);
	soon = true;
}

void
check_organization(Organization *organization)
{
	for (Client *client = organization->clients; client; client = client->next)
		hurry(client);
	ask_soon();
}

bool
uuid_parse(const char *text, uint8_t *bytes)
{
	for (int i = 0; i < 16; i++)
	{
		unsigned int byte;

		if (*text == '-')
			text++;
		if (strspn(text, "0123456789abcdef") < 2 || sscanf(text, "%2x", &byte) != 1)
			return false;
		bytes[i] = byte;
		text += 2;
	}
	return *text == '\0';
}

void
check_connection(const char *id)
{
	uint8_t		bytes[16];
	Client	   *next;

	if (!uuid_parse(id, bytes))
		return;
	for (Client *client = first; client; client = next)
	{
		next = client->check_next;
		if (memcmp(client->connection, bytes, 16) == 0)
			hurry(client);
	}
	ask_soon();
}
