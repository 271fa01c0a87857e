/*
 * heading.c
 *		Whether a request's head is one that we answer: what llhttp leaves to us.
 */
#include "http.h"

#include "option.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <strings.h>

/* Flags of llhttp; it says nothing about the field itself. */
#define HAS_LENGTH F_CONTENT_LENGTH
#define IS_CHUNKED F_CHUNKED

static bool check_host(Http *http);
static bool check_body(Http *http);
static bool check_expect(Http *http);
static bool check_upgrade(Http *http);

static bool
refuse(Http *http, int status, const char *problem)
{
	http->status = status;
	http->problem = problem;
	return false;
}

/* Is the word one of a list with commas between? */
static bool
has_word(const char *list, const char *word)
{
	size_t		len = strlen(word);

	while (list && *list)
	{
		list += strspn(list, ", \t");
		if (strncasecmp(list, word, len) == 0 && strchr(", \t", list[len]))
			return true;		/* strchr finds the end, too */
		list += strcspn(list, ",");
	}
	return false;
}

bool
heading_check(Http *http)
{
	if (http->parser.http_major != 1 || http->parser.http_minor > 1)
		return refuse(http, 505, "only HTTP/1.1 and HTTP/1.0 are served");
	return check_host(http) && check_body(http) && check_expect(http) &&
		check_upgrade(http);
}

/* RFC 9112, 3.2: just one, and none that is no host. */
static bool
check_host(Http *http)
{
	int			hosts = http_header_count(http, "host");
	const char *host = http_header(http, "host");

	if (hosts > 1 || (hosts == 0 && http->parser.http_minor == 1))
		return refuse(http, 400, "a request has one Host");
	for (; host && *host; host++)
		if (!isalnum((unsigned char) *host) && !strchr("-._~!$&'()*+;=:[]%", *host))
			return refuse(http, 400, "the Host is none");
	return true;
}

/* Is the last coding of all chunked? */
static bool
ends_chunked(const Http *http)
{
	Buffer		all = {0};
	const char *last;
	bool		result;

	http_header_all(http, "transfer-encoding", &all);
	last = strrchr(all.data, ',');
	last = last ? last + 1 : all.data;
	last += strspn(last, " \t");
	result = strcasecmp(last, "chunked") == 0;
	buffer_free(&all);
	return result;
}

/* RFC 9112, 6.1 and 6.3. */
static bool
check_body(Http *http)
{
	const char *encoding = http_header(http, "transfer-encoding");

	if (encoding && http->parser.http_minor == 0)
		return refuse(http, 400, "HTTP/1.0 has no Transfer-Encoding");
	if (encoding && http_header(http, "content-length"))
		return refuse(http, 400, "a request has one length");
	if (encoding && !ends_chunked(http))
		return refuse(http, 400, "the last Transfer-Encoding is chunked");
	if (encoding && (http_header_count(http, "transfer-encoding") > 1 ||
					 strcasecmp(encoding, "chunked") != 0))
		return refuse(http, 501, "the only Transfer-Encoding is chunked");
	if ((http->parser.flags & HAS_LENGTH) &&
		http->parser.content_length > (uint64_t) options.max_body_size)
		return refuse(http, 413, "the body is too large");
	return true;
}

/* RFC 9110, 10.1.1. */
static bool
check_expect(Http *http)
{
	const char *expect = http_header(http, "expect");
	bool		has_body = (http->parser.flags & IS_CHUNKED) || http->parser.content_length > 0;

	if (expect == NULL || http->parser.http_minor == 0)
		return true;
	if (strcasecmp(expect, "100-continue") != 0)
		return refuse(http, 417, "the only expectation is 100-continue");
	if (has_body)
		peer_write(http->peer, "HTTP/1.1 100 Continue\r\n\r\n", 25);
	return true;
}

static bool
is_key(const char *key)
{
	unsigned char bytes[32];

	return key && strlen(key) == 24 && strcmp(key + 22, "==") == 0 &&
		strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") == 22 &&
		EVP_DecodeBlock(bytes, (const unsigned char *) key, 24) == 18;
}

/*
 * RFC 6455, 4.2.1.  Another protocol than WebSocket is ignored, as RFC 9110, 7.8
 * lets us.  What is a WebSocket's handshake and wrong is refused.
 */
static bool
check_upgrade(Http *http)
{
	const char *version = http_header(http, "sec-websocket-version");
	bool		has_body = (http->parser.flags & IS_CHUNKED) || http->parser.content_length > 0;

	if (!has_word(http_header(http, "upgrade"), "websocket") ||
		!has_word(http_header(http, "connection"), "upgrade") ||
		http->parser.http_minor == 0)
		return true;
	if (http->parser.method != HTTP_GET || has_body)
		return refuse(http, 400, "a WebSocket begins with a GET that has no body");
	if (version == NULL || strcmp(version, "13") != 0)
		return refuse(http, 426, "the version of WebSocket is 13");
	if (http_header_count(http, "sec-websocket-key") != 1 ||
		!is_key(http_header(http, "sec-websocket-key")))
		return refuse(http, 400, "Sec-WebSocket-Key is 16 bytes in base64");
	http->upgrade = true;
	return true;
}
