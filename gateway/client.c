/*
 * client.c
 *		A client of a stream, over WebSocket or SSE.
 *
 * A client has a cursor and no queue.  While its socket takes bytes it is sent what
 * comes after its cursor: from what the organization has just read, or from the log.
 * When the socket is full nothing is kept but the rest of a few frames; when it drains,
 * it goes on from the cursor.  So it is the same whether a client is new, slow,
 * or was away.
 */
#include "client.h"

#include "admission.h"
#include "check.h"
#include "log.h"
#include "metrics.h"
#include "reader.h"
#include "option.h"

/* Of the buffer in which frames are made. */
#define KEPT_MOST (1024 * 1024)

static void input(Peer *peer, const char *data, size_t len);
static void drained(Peer *peer);
static void tick(Peer *peer);
static void gone(Peer *peer);
static void release(void *owner);
static bool on_frame(void *arg, int opcode, const char *data, size_t len);
static void pump_events(Client *client, Event *event);
static void send_event(Client *client, const Place *place, uint64_t serial,
					   const char *object, size_t len);
static void say_live(Client *client);
static void say_head(Client *client);
static void read_log(Client *client);
static void read_log_of(Client *client, bool ask_reader);
static void replayed(void *arg, const Answer *answer);
static void send_rows(Client *client, const PGresult *result);
static void reset(Client *client, const char *sqlstate);

const PeerOps client_ops = {input, drained, tick, gone, release};

void
client_open(Client *client, Peer *peer, Buffer *early, const Place *head)
{
	Buffer		hello = {0};

	client->peer = peer;
	client->opened = client->said = client->pinged = loop_now();
	organization_add(client->organization, client);
	check_add(client);
	metrics.clients_total++;
	if (client->sse)
		metrics.clients_sse++;
	else
		metrics.clients_websocket++;
	/* What the database has just said may be news. */
	organization_heard(client->organization, head->position);
	frame_hello(&hello, head->epoch, head->position, client->earliest);
	client_send(client, "hello", NULL, &hello);
	buffer_free(&hello);
	if (early->len > 0 && !peer->closed)
		input(peer, early->data, early->len);
	buffer_free(early);
	if (!peer->closed)
		peer_read(peer, true);
}

void
client_send(Client *client, const char *name, const char *id, const Buffer *json)
{
	Peer	   *peer = client->peer;

	client->said = loop_now();
	if (client->sse)
	{
		char		head[128];
		int			len = 0;

		if (name)
			len += snprintf(head + len, sizeof(head) - len, "event: %s\n", name);
		if (id)
			len += snprintf(head + len, sizeof(head) - len, "id: %s\n", id);
		len += snprintf(head + len, sizeof(head) - len, "data: ");
		peer_write(peer, head, len);
		peer_write(peer, json->data, json->len);
		peer_write(peer, "\n\n", 2);
	}
	else
	{
		char		head[WS_HEAD_MOST];

		peer_write(peer, head, websocket_head(head, WS_TEXT, json->len));
		peer_write(peer, json->data, json->len);
	}
}

static void
send_control(Client *client, int opcode, const char *data, size_t len)
{
	char		frame[WS_HEAD_MOST + 125];
	size_t		head = websocket_head(frame, opcode, len);

	memcpy(frame + head, data, len);
	peer_write(client->peer, frame, head + len);
}

void
client_end(Client *client, int code, const char *reason)
{
	Peer	   *peer = client->peer;
	char		data[125];
	size_t		len = Min(strlen(reason), sizeof(data) - 2);

	if (client->state == CLIENT_OVER || peer->closed)
		return;
	client->state = CLIENT_OVER;
	log_line(LOG_DEBUG, "event=close code=%d reason=%s", code, log_quote(reason));
	if (!client->sse)
	{
		data[0] = code >> 8;
		data[1] = code;
		memcpy(data + 2, reason, len);
		send_control(client, WS_CLOSE, data, len + 2);
	}
	peer_finish(peer);
}

bool
client_is_lost(const char *sqlstate)
{
	return strcmp(sqlstate, "28P01") == 0 || strcmp(sqlstate, "AC021") == 0 ||
		strcmp(sqlstate, "AC008") == 0 || strcmp(sqlstate, "42501") == 0;
}

void
client_lose(Client *client, const char *sqlstate)
{
	Peer	   *peer = client->peer;
	bool		stuck = peer_is_full(peer);

	metrics.closed_lost++;
	client_end(client, 4003,
			   strcmp(sqlstate, "AC008") == 0 ? "not a member any more" :
			   strcmp(sqlstate, "42501") == 0 ? "the organization's tier has no stream any more" :
			   "the secret was revoked");
	/* What waits for a socket that does not drain is not waited for. */
	if (stuck)
		peer_close(peer);
}

void
client_digest_text(const Client *client, char *text)
{
	text += sprintf(text, "\\x");
	for (int i = 0; i < DIGEST_SIZE; i++)
		text += sprintf(text, "%02x", client->digest[i]);
}

static void
input(Peer *peer, const char *data, size_t len)
{
	Client	   *client = peer->owner;
	int			code;

	if (client->sse || client->state == CLIENT_OVER)
		return;
	code = websocket_input(&client->socket, data, len, on_frame, client);
	if (code != 0)
		client_end(client, code, code == 1007 ? "text that is not UTF-8" :
				   code == 1009 ? "the message is too large" : "not a frame of a client");
}

static bool
on_frame(void *arg, int opcode, const char *data, size_t len)
{
	Client	   *client = arg;

	switch (opcode)
	{
		case WS_TEXT:
			subscribe_message(client, data, len);
			break;
		case WS_BINARY:
			client_end(client, 4000, "frames are text");
			break;
		case WS_PING:
			send_control(client, WS_PONG, data, len);
			break;
		case WS_PONG:
			client->unanswered = false;
			break;
		case WS_CLOSE:
			client->state = CLIENT_OVER;
			send_control(client, WS_CLOSE, data, Min(len, 2));
			peer_finish(client->peer);
			break;
	}
	return client->state != CLIENT_OVER && !client->peer->closed;
}

void
client_subscribe(Client *client, const char *cursor, const char *words)
{
	Place	   *newest = &client->organization->at;

	if (words)
		client->filter = filter_get(words);
	client->state = CLIENT_STREAMING;
	client->at = *newest;
	client->verify = !filter_is_known(client->filter) || client->organization->restarting;
	if (cursor && strcmp(cursor, "earliest") == 0)
	{
		client->from_earliest = client->verify = true;
		client->at.position = client->earliest > 0 ? client->earliest - 1 : 0;
	}
	else if (cursor)
	{
		if (!place_parse(cursor, &client->at))
		{
			client_end(client, 4000, "the cursor is none");
			return;
		}
		/* Where we have just been needs no asking. */
		if (client->at.epoch != newest->epoch || client->at.position != newest->position)
			client->verify = true;
	}
	client->told = client->at.position;
	client_pump(client);
}

void
client_pump(Client *client)
{
	Organization *organization = client->organization;
	Peer	   *peer = client->peer;
	Event	   *event = NULL;

	if (client->state != CLIENT_STREAMING || client->query || client->failed ||
		peer_is_full(peer))
		return;
	if (!client->verify)
	{
		/* Its place is not known; when it is, everybody is pumped. */
		if (organization->restarting)
			return;
		if (client->at.position >= organization->at.position)
		{
			say_live(client);
			return;
		}
		event = organization_event_after(organization, client->at.position);
	}
	if (event == NULL)
		read_log(client);
	else
		pump_events(client, event);
}

static void
pump_events(Client *client, Event *event)
{
	Peer	   *peer = client->peer;
	bool		ask = false;

	peer_cork(peer);
	while (event && !peer_is_full(peer))
	{
		Event	   *next = event->next;
		Verdict		verdict = event->type ? filter_judge(client->filter, event->type) :
			FILTER_LEAVES_OUT;

		ask = verdict == FILTER_UNKNOWN;
		if (ask)
			break;
		client->at = event->place;
		/* It may find out that the client has gone; then the loop ends. */
		if (verdict == FILTER_TAKES)
			send_event(client, &event->place, event->serial, event->object, event->len);
		event = next;
	}
	peer_uncork(peer);
	if (peer->closed)
		return;
	if (ask)
		read_log(client);
	else if (event == NULL)
		say_live(client);
}

/* Many clients are sent the same bytes one after the other: they are made once. */
static void
send_event(Client *client, const Place *place, uint64_t serial, const char *object, size_t len)
{
	static Buffer json;
	static uint64_t made = 0;	/* of this event, */
	static int64_t made_prev;	/* with this prev */
	char		id[PLACE_TEXT_SIZE];

	if (serial == 0 || serial != made || client->told != made_prev)
	{
		if (json.size > KEPT_MOST)
			buffer_free(&json);
		json.len = 0;
		frame_event_begin(&json, place, client->told);
		buffer_append(&json, object, len);
		buffer_text(&json, FRAME_EVENT_END);
		made = serial;
		made_prev = client->told;
	}
	client->told = place->position;
	metrics.events_sent++;
	client_send(client, NULL, client->sse ? place_text(place, id) : NULL, &json);
}

static void
say_at(Client *client, const char *op)
{
	Buffer		json = {0};

	frame_at(&json, op, &client->at);
	client->told = client->at.position;
	client_send(client, op, NULL, &json);
	buffer_free(&json);
}

static void
say_live(Client *client)
{
	if (client->live)
		return;
	client->live = true;
	say_at(client, "live");
}

static void
say_head(Client *client)
{
	say_at(client, "head");
}

/* Reads what comes after its cursor, through its filter. */
static void
read_log(Client *client)
{
	read_log_of(client, true);
}

static void
read_log_of(Client *client, bool ask_reader)
{
	static const char sql[] = "SELECT position, cursor_after, event_type, event"
		" FROM activity.serve_replay($1, $2::bytea, $3, $4::text[], 500)";
	Organization *organization = client->organization;
	char		digest[2 * DIGEST_SIZE + 3];
	char		cursor[PLACE_TEXT_SIZE];
	const char *parameters[4] = {organization->name, digest,
		client->from_earliest ? NULL : place_text(&client->at, cursor),
	client->filter ? client->filter->words : NULL};

	client_digest_text(client, digest);
	client->verify = false;
	client->has_goal = !organization->restarting;
	client->goal = organization->at;
	metrics.replays++;
	if (ask_reader && reader_is_ready())
		client->query = database_ask_reader(PRIORITY_SECOND, sql, 4, parameters, true, replayed, client);
	else
		client->query = database_ask(PRIORITY_SECOND, sql, 4, parameters, replayed, client);
}

static void
replayed(void *arg, const Answer *answer)
{
	Client	   *client = arg;
	const char *sqlstate = answer->sqlstate;

	client->query = NULL;
	if (client->state != CLIENT_STREAMING)
		return;
	/* A standby knows what was, not that there is nothing else, nor that it can't be. */
	if (answer->is_reader && (answer->result == NULL || PQntuples(answer->result) == 0))
	{
		read_log_of(client, false);
		return;
	}
	if (answer->result)
		send_rows(client, answer->result);
	else if (client_is_lost(sqlstate))
		client_lose(client, sqlstate);
	else if (strcmp(sqlstate, "AC013") == 0)
		client_end(client, 4000, "the cursor is none");
	else if (strcmp(sqlstate, "AC001") == 0 || strcmp(sqlstate, "22P02") == 0)
		client_end(client, 4000, answer->message);
	else if (strncmp(sqlstate, "AC01", 4) == 0)
		reset(client, sqlstate);
	else
	{
		/* Again in a second, or when the database is back. */
		client->failed = client->verify = true;
		if (!answer->away)
			log_line(LOG_ERROR, "event=replay sqlstate=%s reason=%s", sqlstate,
					 log_quote(answer->message));
	}
}

static void
send_rows(Client *client, const PGresult *result)
{
	Peer	   *peer = client->peer;
	int			count = PQntuples(result);

	peer_cork(peer);
	for (int i = 0; i < count && !peer_is_full(peer); i++)
	{
		place_parse(PQgetvalue(result, i, 1), &client->at);
		/* Without a filter the first one is told as the next one. */
		if (client->from_earliest && client->filter == NULL)
			client->told = client->at.position - 1;
		client->from_earliest = false;
		if (PQgetisnull(result, i, 3))
			continue;
		metrics.replayed_events++;
		send_event(client, &client->at, 0, PQgetvalue(result, i, 3), PQgetlength(result, i, 3));
	}
	peer_uncork(peer);
	if (peer->closed)
		return;
	/*
	 * There is nothing after its cursor: it has come as far as the organization
	 * had.  Unless that has lost its place meanwhile.
	 */
	if (count == 0 && client->has_goal && !client->verify)
	{
		client->from_earliest = false;
		if (client->at.position < client->goal.position)
			client->at = client->goal;
	}
	else if (client->from_earliest)
		client->verify = true;
	client_pump(client);
}

/* Asks where the stream begins now, to say it; then it ends. */
static void
tell_reset(void *arg, const Answer *answer)
{
	Client	   *client = arg;
	Buffer		json = {0};
	int64_t		earliest = answer->result ? atoll(PQgetvalue(answer->result, 0, 0)) :
		client->earliest;

	client->query = NULL;
	frame_reset(&json, client->reset_reason == '0' ? "expired" :
				client->reset_reason == '1' ? "epoch" : "future", earliest);
	metrics.resets++;
	client_send(client, "reset", NULL, &json);
	buffer_free(&json);
	client_end(client, 4009, "the cursor can't be continued");
}

static void
reset(Client *client, const char *sqlstate)
{
	char		digest[2 * DIGEST_SIZE + 3];
	const char *parameters[2] = {client->organization->name, digest};

	client_digest_text(client, digest);
	client->reset_reason = sqlstate[4];
	client->query = database_ask(PRIORITY_SECOND,
								 "SELECT earliest FROM activity.serve_authenticate($1, $2::bytea)",
								 2, parameters, tell_reset, client);
}

static void
drained(Peer *peer)
{
	client_pump(peer->owner);
}

static void
tick(Peer *peer)
{
	Client	   *client = peer->owner;
	int64_t		now = loop_now();
	int64_t		beat = options.heartbeat * INT64_C(1000) - 500;

	if (client->state == CLIENT_OPEN &&
		now - client->opened > options.request_time * INT64_C(1000))
	{
		client_end(client, 4000, "nothing was subscribed");
		return;
	}
	if (client->failed && database_is_up())
	{
		client->failed = false;
		client_pump(client);
	}
	/* While output waits nothing is read, so a pong may wait, too. */
	if (peer->closed || peer_is_full(peer))
		return;
	if (client->unanswered && now - client->pinged > options.pong_time * INT64_C(1000))
	{
		peer_close(peer);
		return;
	}
	if (!client->sse && !client->unanswered && now - client->pinged >= beat)
	{
		client->pinged = now;
		client->unanswered = true;
		send_control(client, WS_PING, "", 0);
	}
	if (client->state == CLIENT_STREAMING && now - client->said >= beat &&
		!client->from_earliest && !peer->closed)
		say_head(client);
}

static void
gone(Peer *peer)
{
	Client	   *client = peer->owner;

	client->state = CLIENT_OVER;
	if (client->query)
		query_forget(client->query);
	if (client->sse)
		metrics.clients_sse--;
	else
		metrics.clients_websocket--;
	check_remove(client);
	member_release(client->member);
	filter_release(client->filter);
	client->filter = NULL;
	organization_remove(client->organization, client);
}

static void
release(void *owner)
{
	Client	   *client = owner;

	websocket_free(&client->socket);
	free(client);
}
