/*
 * admission.c
 *		Who may listen: the secret is asked about, then the stream begins.
 *
 * As long as HTTP can answer, it does; close codes are for what comes later.
 */
#include "admission.h"

#include "answer.h"
#include "check.h"
#include "log.h"
#include "metrics.h"
#include "option.h"

static Map *members;

static void answered(void *arg, const Answer *answer);
static void refuse(Http *http, const Answer *answer);
static void begin(Admission *admission, const PGresult *result);

void
admissions_open(void)
{
	members = map_make();
}

void
admission_free(Admission *admission)
{
	free(admission->organization);
	free(admission->cursor);
	free(admission->words);
	free(admission);
}

void
admission_ask(Admission *admission)
{
	char		digest[2 * DIGEST_SIZE + 3] = "\\x";
	const char *parameters[2] = {admission->organization, digest};

	for (int i = 0; i < DIGEST_SIZE; i++)
		sprintf(digest + 2 + 2 * i, "%02x", admission->digest[i]);
	database_ask(PRIORITY_SECOND,
				 "SELECT connection_id, member, cursor, position, earliest"
				 " FROM activity.serve_authenticate($1, $2::bytea)",
				 2, parameters, answered, admission);
}

static void
answered(void *arg, const Answer *answer)
{
	Admission  *admission = arg;

	if (answer->result && PQntuples(answer->result) == 1)
		begin(admission, answer->result);
	else
		refuse(admission->http, answer);
	admission_free(admission);
}

static void
refuse(Http *http, const Answer *answer)
{
	const char *state = answer->sqlstate;

	if (answer->away)
		answer_problem(http, 503, "database_away", "the database can't be reached at the moment");
	else if (strcmp(state, "28P01") == 0)
		answer_problem(http, 401, "bad_secret", "the secret is not valid");
	else if (strcmp(state, "AC021") == 0)
		answer_problem(http, 403, "revoked", "the secret is revoked");
	else if (strcmp(state, "AC008") == 0)
		answer_problem(http, 403, "not_a_member", "its owner is no active member of the organization");
	else if (strcmp(state, "42501") == 0)
		answer_problem(http, 403, "forbidden", "%s", strstr(answer->message, "tier") ?
					   "the organization's tier has no stream" :
					   "the secret does not open this organization");
	else
	{
		log_line(LOG_ERROR, "event=admission sqlstate=%s reason=%s", state,
				 log_quote(answer->message ? answer->message : ""));
		answer_problem(http, 503, "database_error", "the database could not answer");
	}
}

static Member *
member_get(const char *organization, const char *name)
{
	size_t		len = strlen(organization) + strlen(name) + 2;
	Member	   *member = allocate(sizeof(Member) + len);
	Member	   *found;

	sprintf(member->key, "%s\n%s", organization, name);
	found = map_get(members, member->key, strlen(member->key));
	if (found)
	{
		free(member);
		return found;
	}
	map_put(members, member->key, strlen(member->key), member);
	return member;
}

void
member_release(Member *member)
{
	if (--member->count > 0)
		return;
	map_remove(members, member->key, strlen(member->key));
	free(member);
}

/* The head of the answer to a handshake that is right (RFC 6455, 4.2.2). */
static void
shake_hands(Http *http, bool says_protocol)
{
	char		accept[WS_KEY_SIZE];
	Buffer		head = {0};

	websocket_accept(http_header(http, "sec-websocket-key"), accept);
	buffer_printf(&head, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
				  "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s\r\n", accept,
				  says_protocol ? "Sec-WebSocket-Protocol: activity.v1\r\n" : "");
	metrics.requests[1]++;
	peer_write(http->peer, head.data, head.len);
	buffer_free(&head);
}

static void
begin(Admission *admission, const PGresult *result)
{
	Http	   *http = admission->http;
	Member	   *member = member_get(admission->organization, PQgetvalue(result, 0, 1));
	Client	   *client;
	Place		head = {0, 0};
	Peer	   *peer;
	Buffer		early;

	member->count++;
	if (http->peer == NULL || member->count > options.max_connections_per_member)
	{
		member_release(member);
		answer_problem(http, 429, "too_many_connections",
					   "a member may have %d connections", options.max_connections_per_member);
		return;
	}
	client = allocate(sizeof(Client));
	client->sse = admission->sse;
	client->member = member;
	memcpy(client->digest, admission->digest, DIGEST_SIZE);
	uuid_parse(PQgetvalue(result, 0, 0), client->connection);
	place_parse(PQgetvalue(result, 0, 2), &head);
	client->earliest = atoll(PQgetvalue(result, 0, 4));
	client->organization = organization_get(admission->organization, &head);

	peer_cork(http->peer);
	if (client->sse)
		answer_head(http, 200, "text/event-stream",
					"Cache-Control: no-store\r\nX-Accel-Buffering: no\r\n", -1);
	else
		shake_hands(http, admission->says_protocol);
	peer = http_take(http, &client_ops, client, &early);
	client_open(client, peer, &early, &head);
	peer_uncork(peer);
	if (client->sse && !peer->closed)
		client_subscribe(client, admission->cursor, admission->words);
}
