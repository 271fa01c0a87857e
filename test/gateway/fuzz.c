/*
 * fuzz.c
 *		What clients send, made up by libFuzzer: `test/gateway/fuzz TARGET SECONDS`.
 *
 * Beside the sanitizers each target has an oracle: what comes in one piece and what comes
 * byte by byte must mean the same; what is cleaned must be clean.
 */
#include "admission.h"
#include "answer.h"
#include "client.h"
#include "frame.h"
#include "listener.h"
#include "metrics.h"
#include "option.h"
#include "route.h"
#include "stream.h"
#include "url.h"
#include "utf8.h"
#include "websocket.h"

#define must(condition) do { if (!(condition)) abort(); } while (0)

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

Options		options;

/* What the parser under test has said, as text. */
static Buffer told;

/* ---------- WebSocket ---------- */

static bool
on_frame(void *arg, int opcode, const char *data, size_t len)
{
	Utf8		utf8 = {0};

	must(opcode != WS_TEXT || (utf8_check(&utf8, data, len) && utf8_is_whole(&utf8)));
	must(len <= 8192 && (opcode < 8 || len <= 125));
	buffer_printf(&told, "[%d %zu]", opcode, len);
	return opcode != WS_CLOSE;
}

static char *
read_frames(const char *data, size_t size, size_t piece)
{
	WebSocket	socket = {{0}};
	int			code = 0;

	memset(&told, 0, sizeof(told));
	for (size_t at = 0; at < size && code == 0; at += piece)
	{
		size_t		len = Min(piece, size - at);

		code = websocket_input(&socket, data + at, len, on_frame, NULL);
		if (told.len > 2 && strstr(told.data, "[8 "))
			break;				/* nothing is read after a close */
	}
	buffer_printf(&told, "%d", code);
	websocket_free(&socket);
	return told.data;
}

static void
websocket(const char *data, size_t size)
{
	char	   *whole = read_frames(data, size, size + 1);
	char	   *bytes = read_frames(data, size, 1);

	must(strcmp(whole, bytes) == 0);
	free(whole);
	free(bytes);
}

/* ---------- HTTP: http.c, heading.c and answer.c on a peer that is none ---------- */

static Peer *peer;
static const PeerOps *ops;
static void *owner;

Peer *
peer_open(int fd, const Address *address, bool tls, const PeerOps *its_ops, void *its_owner)
{
	peer = allocate(sizeof(Peer));
	peer->ops = ops = its_ops;
	peer->owner = owner = its_owner;
	peer->reading = true;
	return peer;
}

void
peer_write(Peer *to, const void *data, size_t len)
{
	/* The status line of each answer; the rest has the time in it. */
	if (len > 12 && memcmp(data, "HTTP/1.1 ", 9) == 0)
		buffer_printf(&told, "(%.3s)", (const char *) data + 9);
}

void
peer_read(Peer *what, bool wanted)
{
	what->reading = wanted;
}

void
peer_finish(Peer *what)
{
	what->finishing = true;
}

void
peer_close(Peer *what)
{
	what->closed = true;
}

bool
peer_is_full(const Peer *what)
{
	return false;
}

int64_t
loop_now(void)
{
	return 0;
}

void
route_request(Http *http)
{
	Url			url;

	buffer_printf(&told, "{%d %zu %zu %d}", http->parser.method, http->target.len, http->body.len,
				  http->nheaders);
	must(http_header_count(http, "host") <= 1);
	must(http->body.len <= 1000 && http->target.len <= 8192);
	if (!url_parse(http->target.data ? http->target.data : "", &url))
		answer_problem(http, 400, "bad", "bad");
	else
		answer_send(http, 200, "text/plain", NULL, "x", 1);
	url_free(&url);
}

static char *
read_requests(const char *data, size_t size, size_t piece)
{
	Address		address = {{0}};

	memset(&told, 0, sizeof(told));
	http_serve(0, &address, false);
	for (size_t at = 0; at < size && !peer->finishing && !peer->closed; at += piece)
		ops->input(peer, data + at, Min(piece, size - at));
	peer->closed = true;
	ops->gone(peer);
	free(peer);
	buffer_text(&told, ".");
	return told.data;
}

static void
http(const char *data, size_t size)
{
	char	   *whole = read_requests(data, size, size + 1);
	char	   *bytes = read_requests(data, size, 1);

	must(strcmp(whole, bytes) == 0);
	free(whole);
	free(bytes);
}

/* ---------- what a client subscribes to ---------- */

void
client_end(Client *client, int code, const char *reason)
{
	must(code == 4000);
	client->state = CLIENT_OVER;
}

void
client_subscribe(Client *client, const char *cursor, const char *words)
{
	Place		place;
	char		text[PLACE_TEXT_SIZE];

	if (cursor && place_parse(cursor, &place))
		must(place.epoch >= 0 && place.position >= 0 && place_text(&place, text));
	if (words)
		must(words[0] == '{' && words[strlen(words) - 1] == '}');
	client->state = CLIENT_STREAMING;
}

static void
subscribe(const char *data, size_t size)
{
	Client		client = {0};

	subscribe_message(&client, data, size);
	must(client.state != CLIENT_OPEN);
}

/* ---------- paths, queries, texts ---------- */

static void
url(const char *data, size_t size)
{
	char	   *target = copy_bytes(data, size);
	Url			parsed;
	Buffer		words = {0};
	Buffer		clean = {0};
	Utf8		utf8 = {0};

	buffer_text(&words, "{");
	if (url_parse(target, &parsed))
	{
		const char *query = parsed.query;
		char	   *name;
		char	   *value;

		must(parsed.count > 0);
		while (url_next_parameter(&query, &name, &value))
		{
			stream_add_words(&words, value);
			free(name);
			free(value);
		}
	}
	url_free(&parsed);
	utf8_append_clean(&clean, data, size);
	must(clean.len == 0 || (utf8_check(&utf8, clean.data, clean.len) && utf8_is_whole(&utf8) &&
							strlen(clean.data) == clean.len));
	buffer_free(&words);
	buffer_free(&clean);
	free(target);
}

/* Of stream.c nothing but its words is tested here. */
void
admission_ask(Admission *admission)
{
	abort();
}

bool
database_is_up(void)
{
	return false;
}

bool
database_is_crowded(void)
{
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char *none[] = {NULL};

	options.max_header_size = 4096;
	options.max_body_size = 1000;
	options.request_time = 10;
	options.cors_origin = none;
	TARGET((const char *) data, size);
	return 0;
}
