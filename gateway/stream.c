/*
 * stream.c
 *		Requests for a stream.
 *
 * The secret is in a header field, never in the target, which is what logs keep.
 * A browser's WebSocket can set no field but its subprotocols, so it may be one of these;
 * that one is never said back.
 */
#include "stream.h"

#include "admission.h"
#include "answer.h"
#include "database.h"
#include "option.h"

#include <openssl/evp.h>
#include <strings.h>

#define PROTOCOL "activity.v1"
#define AUTH_PROTOCOL "activity.auth."
#define COOKIE "activity_session="
#define SECRET_MOST 1024

static bool find_secret(Http *http, char *secret, bool *says_protocol);
static void read_query(Admission *admission, const Url *url);

static bool
accepts_events(const Http *http)
{
	Buffer		accept = {0};
	bool		accepts;

	http_header_all(http, "accept", &accept);
	accepts = accept.data && strcasestr(accept.data, "text/event-stream");
	buffer_free(&accept);
	return accepts;
}

void
stream_request(Http *http, const Url *url)
{
	Admission  *admission;
	char		secret[SECRET_MOST + 1];
	bool		says_protocol = false;

	if (options.no_stream)
		answer_problem(http, 404, "no_stream", "this gateway serves no stream");
	else if (http->parser.method != HTTP_GET)
		answer_problem_with(http, 405, "method_not_allowed", "Allow: GET\r\n", "a stream is read by GET");
	else if (!http->upgrade && !accepts_events(http))
		answer_problem(http, 426, "upgrade_required",
					   "a stream wants a WebSocket, or Accept: text/event-stream");
	else if (!find_secret(http, secret, &says_protocol))
		answer_problem(http, 401, "no_secret", "there is no secret in the request");
	else if (http_is_draining() || !database_is_up() || database_is_crowded())
		answer_problem(http, 503, "busy", "the gateway can't take more clients at the moment");
	else
	{
		admission = allocate(sizeof(Admission));
		admission->http = http;
		admission->organization = copy_text(url->segments[3]);
		admission->sse = !http->upgrade;
		admission->says_protocol = says_protocol;
		if (EVP_Digest(secret, strlen(secret), admission->digest, NULL, EVP_sha256(), NULL) != 1)
			abort();
		if (admission->sse)
			read_query(admission, url);
		admission_ask(admission);
	}
	memset(secret, 0, sizeof(secret));
}

static bool
keep(char *secret, const char *from, size_t len)
{
	if (len == 0 || len > SECRET_MOST)
		return false;
	memcpy(secret, from, len);
	secret[len] = '\0';
	return true;
}

/*
 * Is the page that asks one of ours, or of an origin that was named?  A browser sends
 * a cookie with a WebSocket whatever page opens it.
 */
static bool
is_own_page(const Http *http)
{
	const char *origin = http_header(http, "origin");
	const char *host = http_header(http, "host");
	const char *name = origin ? strstr(origin, "://") : NULL;

	if (origin == NULL || (name && host && strcmp(name + 3, host) == 0))
		return true;
	if (options.public_url && strcmp(options.public_url, origin) == 0)
		return true;
	for (char **allowed = options.cors_origin; *allowed; allowed++)
		if (strcmp(*allowed, origin) == 0)
			return true;
	return false;
}

/* The dashboard's session. */
static bool
find_session(Http *http, char *secret)
{
	Buffer		cookies = {0};
	bool		found = false;
	char	   *rest;
	char	   *word;

	http_header_all(http, "cookie", &cookies);
	rest = cookies.data;
	while ((word = strsep(&rest, ";, \t")) != NULL)
		if (!found && strncmp(word, COOKIE, strlen(COOKIE)) == 0)
			found = keep(secret, word + strlen(COOKIE), strlen(word + strlen(COOKIE)));
	buffer_free(&cookies);
	return found && is_own_page(http);
}

/* From Authorization, else from the subprotocols, else from a cookie. */
static bool
find_secret(Http *http, char *secret, bool *says_protocol)
{
	const char *authorization = http_header(http, "authorization");
	Buffer		protocols = {0};
	bool		found = false;
	char	   *rest;
	char	   *word;

	if (authorization && strncasecmp(authorization, "bearer ", 7) == 0)
	{
		authorization += 7 + strspn(authorization + 7, " ");
		found = keep(secret, authorization, strlen(authorization));
	}
	http_header_all(http, "sec-websocket-protocol", &protocols);
	rest = http->upgrade ? protocols.data : NULL;
	while ((word = strsep(&rest, ", \t")) != NULL)
	{
		if (strcmp(word, PROTOCOL) == 0)
			*says_protocol = true;
		else if (!found && strncmp(word, AUTH_PROTOCOL, strlen(AUTH_PROTOCOL)) == 0)
			found = keep(secret, word + strlen(AUTH_PROTOCOL), strlen(word + strlen(AUTH_PROTOCOL)));
	}
	buffer_free(&protocols);
	return found || (authorization == NULL && find_session(http, secret));
}

void
stream_add_words(Buffer *array, const char *list)
{
	char	   *copy = copy_text(list);
	char	   *rest = copy;
	char	   *word;

	while ((word = strsep(&rest, ",")) != NULL)
	{
		if (*word == '\0')
			continue;
		buffer_text(array, array->len > 1 ? "," : "");
		buffer_array_element(array, word);
	}
	free(copy);
}

/* Where to begin, which is the last event that a browser has seen, and the types. */
static void
read_query(Admission *admission, const Url *url)
{
	const char *last = http_header(admission->http, "last-event-id");
	const char *query = url->query;
	Buffer		words = {0};
	char	   *name;
	char	   *value;

	buffer_text(&words, "{");
	while (url_next_parameter(&query, &name, &value))
	{
		if (strcmp(name, "cursor") == 0)
		{
			free(admission->cursor);
			admission->cursor = copy_text(value);
		}
		else if (strcmp(name, "types") == 0)
			stream_add_words(&words, value);
		free(name);
		free(value);
	}
	if (last && *last)
	{
		free(admission->cursor);
		admission->cursor = copy_text(last);
	}
	if (admission->cursor && strcmp(admission->cursor, "now") == 0)
	{
		free(admission->cursor);
		admission->cursor = NULL;
	}
	if (words.len > 1)
	{
		buffer_text(&words, "}");
		admission->words = copy_text(words.data);
	}
	buffer_free(&words);
}
