/*
 * http.c
 *		HTTP/1.1 on one connection: a request at a time, and its answer.
 *
 * llhttp parses.  When a request is whole the parser pauses, and nothing is read
 * from the connection until the answer is out: that is all the backpressure that
 * pipelining needs.  Then the parser is reset, not resumed, because after an
 * upgrade that was declined a resumed one pauses without a request.
 */
#include "http.h"

#include "answer.h"
#include "log.h"
#include "option.h"
#include "route.h"

#include <ctype.h>

#define TARGET_MOST 8192
#define HEADERS_MOST 100
#define IDLE_TIME 60000			/* between requests */

static bool draining = false;

static int	on_url(llhttp_t *parser, const char *at, size_t len);
static int	on_field(llhttp_t *parser, const char *at, size_t len);
static int	on_value(llhttp_t *parser, const char *at, size_t len);
static int	on_field_complete(llhttp_t *parser);
static int	on_value_complete(llhttp_t *parser);
static int	on_headers_complete(llhttp_t *parser);
static int	on_body(llhttp_t *parser, const char *at, size_t len);
static int	on_message_complete(llhttp_t *parser);

static llhttp_settings_t settings = {
	.on_url = on_url,
	.on_header_field = on_field,
	.on_header_value = on_value,
	.on_header_field_complete = on_field_complete,
	.on_header_value_complete = on_value_complete,
	.on_headers_complete = on_headers_complete,
	.on_body = on_body,
	.on_message_complete = on_message_complete,
};

static void input(Peer *peer, const char *data, size_t len);
static void drained(Peer *peer);
static void tick(Peer *peer);
static void gone(Peer *peer);
static void run(Http *http);
static void parse(Http *http);
static void refuse(Http *http);
static void begin_request(Http *http);
static void free_http(Http *http);

static const PeerOps http_ops = {input, drained, tick, gone, NULL};

Peer *
http_serve(int fd, const Address *address, bool tls)
{
	Http	   *http = allocate(sizeof(Http));

	llhttp_init(&http->parser, HTTP_REQUEST, &settings);
	http->parser.data = http;
	http->began = loop_now();
	http->peer = peer_open(fd, address, tls, &http_ops, http);
	return http->peer;
}

static void
input(Peer *peer, const char *data, size_t len)
{
	Http	   *http = peer->owner;

	buffer_append(&http->rest, data, len);
	run(http);
}

/* Goes round, not down: an answer may come while its request is being handed out. */
static void
run(Http *http)
{
	if (http->running)
		return;
	http->running = true;
	while (http->peer && http->state == HTTP_READING && http->rest.len > 0)
		parse(http);
	http->running = false;
	if (http->state == HTTP_TAKEN || (http->peer == NULL && http->state != HTTP_HELD))
		free_http(http);
	else if (http->peer)
	{
		if (http->rest.len == 0)
			buffer_free(&http->rest);
		peer_read(http->peer, http->state == HTTP_READING);
	}
}

/* One request's worth of what is there. */
static void
parse(Http *http)
{
	llhttp_errno_t error;
	size_t		used = http->rest.len;

	if (!http->has_begun)
	{
		http->has_begun = true;
		http->began = loop_now();
	}
	error = llhttp_execute(&http->parser, http->rest.data, http->rest.len);
	if (error != HPE_OK)
		used = llhttp_get_error_pos(&http->parser) - http->rest.data;
	http->raw += used;
	buffer_drop(&http->rest, used);
	if (error == HPE_PAUSED)
	{
		http->keep = llhttp_should_keep_alive(&http->parser) && !draining &&
			!http->peer->over_limit;
		http->state = HTTP_HELD;
		route_request(http);
		return;
	}
	/* The framing of a chunked body must not be endless, either. */
	if (error == HPE_OK && http->raw > 4 * ((size_t) options.max_body_size +
											options.max_header_size + TARGET_MOST))
	{
		http->status = 413;
		http->problem = "the request is too large";
		error = HPE_USER;
	}
	if (error != HPE_OK)
	{
		if (http->status == 0)
		{
			http->status = error == HPE_INVALID_VERSION ? 505 : 400;
			http->problem = error == HPE_INVALID_VERSION ?
				"only HTTP/1.1 and HTTP/1.0 are served" : "the request is not valid HTTP/1.1";
		}
		refuse(http);
	}
}

/* After an error nobody knows where the next request would begin. */
static void
refuse(Http *http)
{
	http->state = HTTP_HELD;
	http->keep = false;
	answer_problem(http, http->status, "bad_request", "%s", http->problem);
}

static int
stop(Http *http, int status, const char *problem)
{
	http->status = status;
	http->problem = problem;
	return -1;
}

static int
on_url(llhttp_t *parser, const char *at, size_t len)
{
	Http	   *http = parser->data;

	if (http->target.len + len > TARGET_MOST)
		return stop(http, 414, "the request's target is too long");
	buffer_append(&http->target, at, len);
	return 0;
}

/* What comes after the body is no header field of the request: it is dropped. */
static int
add_to_headers(Http *http, const char *at, size_t len)
{
	if (http->in_trailer)
		return 0;
	if (http->headers.len + len + 2 > (size_t) options.max_header_size)
		return stop(http, 431, "the header fields are too large");
	buffer_append(&http->headers, at, len);
	return 0;
}

static int
on_field(llhttp_t *parser, const char *at, size_t len)
{
	Http	   *http = parser->data;
	size_t		before = http->headers.len;
	int			result = add_to_headers(http, at, len);

	/* In lower case, as we ask for them. */
	for (size_t i = before; i < http->headers.len; i++)
		http->headers.data[i] = tolower((unsigned char) http->headers.data[i]);
	return result;
}

static int
on_value(llhttp_t *parser, const char *at, size_t len)
{
	return add_to_headers(parser->data, at, len);
}

static int
on_field_complete(llhttp_t *parser)
{
	Http	   *http = parser->data;

	if (++http->nheaders > HEADERS_MOST)
		return stop(http, 431, "there are too many header fields");
	if (!http->in_trailer && http->headers.len == http->whole)
		return stop(http, 400, "a header field has a name");
	return add_to_headers(http, "", 1);
}

static int
on_value_complete(llhttp_t *parser)
{
	Http	   *http = parser->data;

	/* White space at the end of a value is not part of it. */
	while (!http->in_trailer && http->headers.len > 0 && (http->headers.data[http->headers.len - 1] == ' ' ||
														  http->headers.data[http->headers.len - 1] == '\t'))
		http->headers.len--;
	if (add_to_headers(http, "", 1) != 0)
		return -1;
	if (!http->in_trailer)
		http->whole = http->headers.len;
	return 0;
}

static int
on_headers_complete(llhttp_t *parser)
{
	Http	   *http = parser->data;

	http->in_trailer = true;
	return heading_check(http) ? 0 : -1;
}

static int
on_body(llhttp_t *parser, const char *at, size_t len)
{
	Http	   *http = parser->data;

	if (http->body.len + len > (size_t) options.max_body_size)
		return stop(http, 413, "the body is too large");
	buffer_append(&http->body, at, len);
	return 0;
}

static int
on_message_complete(llhttp_t *parser)
{
	return HPE_PAUSED;
}

const char *
http_header(const Http *http, const char *name)
{
	const char *at = http->headers.data;
	const char *end = http->whole > 0 ? at + http->whole : at;

	while (at < end)
	{
		const char *value = at + strlen(at) + 1;

		if (strcmp(at, name) == 0)
			return value;
		at = value + strlen(value) + 1;
	}
	return NULL;
}

int
http_header_count(const Http *http, const char *name)
{
	const char *at = http->headers.data;
	const char *end = http->whole > 0 ? at + http->whole : at;
	int			found = 0;

	while (at < end)
	{
		found += strcmp(at, name) == 0;
		at += strlen(at) + 1;
		at += strlen(at) + 1;
	}
	return found;
}

void
http_header_all(const Http *http, const char *name, Buffer *joined)
{
	const char *at = http->headers.data;
	const char *end = http->whole > 0 ? at + http->whole : at;

	while (at < end)
	{
		const char *value = at + strlen(at) + 1;

		if (strcmp(at, name) == 0)
		{
			if (joined->len > 0)
				buffer_text(joined, ", ");
			buffer_text(joined, value);
		}
		at = value + strlen(value) + 1;
	}
}

Peer *
http_take(Http *http, const PeerOps *ops, void *owner, Buffer *early)
{
	Peer	   *peer = http->peer;

	Assert(http->state == HTTP_HELD);
	*early = http->rest;
	memset(&http->rest, 0, sizeof(http->rest));
	http->state = HTTP_TAKEN;
	if (peer)
	{
		peer->ops = ops;
		peer->owner = owner;
	}
	if (!http->running)
		free_http(http);
	return peer;
}

void
http_answered(Http *http)
{
	if (http->peer == NULL)
		http->state = HTTP_OVER;
	else if (http->keep)
		begin_request(http);
	else
	{
		http->state = HTTP_OVER;
		peer_finish(http->peer);
	}
	run(http);
}

static void
begin_request(Http *http)
{
	buffer_free(&http->target);
	buffer_free(&http->headers);
	buffer_free(&http->body);
	llhttp_reset(&http->parser);
	http->state = HTTP_READING;
	http->status = http->nheaders = 0;
	http->has_begun = http->in_trailer = http->upgrade = false;
	http->raw = http->whole = 0;
	http->began = loop_now();
}

void
http_produce(Http *http, ProduceFn produce, LoopFn produced, void *arg)
{
	http->state = HTTP_SENDING;
	http->produce = produce;
	http->produced = produced;
	http->producer = arg;
	http->waiting = false;
	if (http->peer == NULL)
	{
		produced(arg);
		http->produce = NULL;
		http_answered(http);
	}
	else if (!peer_is_full(http->peer))
		drained(http->peer);
}

/* A piece may find out that the client has gone; then gone() leaves the rest to us. */
static void
drained(Peer *peer)
{
	Http	   *http = peer->owner;
	bool		outer = http->running;
	bool		more = true;

	http->running = true;
	while (more && http->produce && http->peer && !http->waiting && !peer_is_full(peer))
		more = http->produce(http, http->producer);
	http->running = outer;
	if (http->peer && more)
		return;
	if (http->produce)
		http->produced(http->producer);
	http->produce = NULL;
	http_answered(http);
}

void
http_wait(Http *http)
{
	http->waiting = true;
}

void
http_more(Http *http)
{
	http->waiting = false;
	if (http->peer && !peer_is_full(http->peer))
		drained(http->peer);
}

static void
tick(Peer *peer)
{
	Http	   *http = peer->owner;
	int64_t		waited = loop_now() - http->began;

	if (http->state != HTTP_READING)
		return;
	if (http->has_begun && waited > options.request_time * INT64_C(1000))
	{
		http->status = 408;
		http->problem = "the request took too long";
		refuse(http);
	}
	else if (!http->has_begun &&
			 (draining || waited > (peer->opened == http->began ?
									options.request_time * INT64_C(1000) : IDLE_TIME)))
		peer_close(peer);
}

static void
gone(Peer *peer)
{
	Http	   *http = peer->owner;

	http->peer = NULL;
	if (http->running || http->state == HTTP_HELD)
		return;
	if (http->produce)
		http->produced(http->producer);
	free_http(http);
}

static void
free_http(Http *http)
{
	buffer_free(&http->target);
	buffer_free(&http->headers);
	buffer_free(&http->body);
	buffer_free(&http->rest);
	free(http);
}

void
http_drain(void)
{
	draining = true;
}

bool
http_is_draining(void)
{
	return draining;
}
