/*
 * answer.c
 *		Answers of HTTP.
 */
#include "answer.h"

#include "metrics.h"
#include "option.h"

#include <stdarg.h>
#include <time.h>

typedef struct Reason
{
	int			status;
	const char *words;
} Reason;

static const Reason reasons[] = {
	{101, "Switching Protocols"}, {200, "OK"}, {201, "Created"}, {202, "Accepted"},
	{204, "No Content"}, {206, "Partial Content"}, {301, "Moved Permanently"},
	{302, "Found"}, {303, "See Other"}, {304, "Not Modified"},
	{400, "Bad Request"}, {401, "Unauthorized"}, {403, "Forbidden"},
	{404, "Not Found"}, {405, "Method Not Allowed"}, {406, "Not Acceptable"},
	{408, "Request Timeout"}, {409, "Conflict"}, {410, "Gone"},
	{413, "Content Too Large"}, {414, "URI Too Long"},
	{415, "Unsupported Media Type"}, {417, "Expectation Failed"},
	{422, "Unprocessable Content"}, {426, "Upgrade Required"},
	{429, "Too Many Requests"}, {431, "Request Header Fields Too Large"},
	{500, "Internal Server Error"}, {501, "Not Implemented"}, {502, "Bad Gateway"},
	{503, "Service Unavailable"}, {504, "Gateway Timeout"},
	{505, "HTTP Version Not Supported"},
};

const char *
answer_reason(int status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].words;
	return "";
}

/* Made anew once a second. */
static const char *
date_text(void)
{
	static char text[40];
	static time_t made = 0;
	time_t		now = time(NULL);
	struct tm	utc;

	if (now != made)
	{
		made = now;
		gmtime_r(&now, &utc);
		strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &utc);
	}
	return text;
}

/* A page of an origin that was named may read the answer. */
static void
add_cors(Http *http, Buffer *head)
{
	const char *origin = http_header(http, "origin");

	if (options.cors_origin[0] == NULL)
		return;
	for (char **allowed = options.cors_origin; *allowed && origin; allowed++)
		if (strcmp(*allowed, origin) == 0)
			buffer_printf(head, "Access-Control-Allow-Origin: %s\r\n"
						  "Access-Control-Allow-Headers: Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, Nevermined-Version, X-Activity-Request, X-Current-Org-Id\r\n"
						  "Access-Control-Allow-Methods: GET, HEAD, POST, PATCH, DELETE\r\n"
						  "Access-Control-Expose-Headers: Allow, Content-Disposition, ETag, Idempotency-Replayed, Location, Retry-After\r\n", origin);
	buffer_text(head, "Vary: Origin\r\n");
}

static void
make_head(Http *http, Buffer *head, int status, const char *type,
		  const char *fields, int64_t len)
{
	if (len < 0)
		http->keep = false;
	metrics.requests[status / 100 % 6]++;
	buffer_printf(head, "HTTP/1.1 %d %s\r\nDate: %s\r\n", status,
				  answer_reason(status), date_text());
	if (type)
		buffer_printf(head, "Content-Type: %s\r\nX-Content-Type-Options: nosniff\r\n", type);
	/* The length of what GET would send by and by is not known. */
	if (len >= 0 && status != 204 && status != 304 && (len > 0 || http->parser.method != HTTP_HEAD))
		buffer_printf(head, "Content-Length: %lld\r\n", (long long) len);
	if (fields)
		buffer_text(head, fields);
	add_cors(http, head);
	buffer_text(head, http->keep ? "\r\n" : "Connection: close\r\n\r\n");
}

void
answer_head(Http *http, int status, const char *type, const char *fields,
			int64_t len)
{
	Buffer		head = {0};

	if (http->peer == NULL)
		return;
	make_head(http, &head, status, type, fields, len);
	peer_write(http->peer, head.data, head.len);
	buffer_free(&head);
}

void
answer_send(Http *http, int status, const char *type, const char *fields,
			const void *body, size_t len)
{
	if (http->peer)
	{
		Buffer		whole = {0};

		make_head(http, &whole, status, type, fields, len);
		if (http->parser.method != HTTP_HEAD)
			buffer_append(&whole, body, len);
		peer_write(http->peer, whole.data, whole.len);
		buffer_free(&whole);
	}
	http_answered(http);
}

void
answer_problem(Http *http, int status, const char *code, const char *format,...)
{
	char		message[512];
	va_list		args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	answer_problem_with(http, status, code,
						status == 426 ? "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" :
						status == 503 || status == 429 ? "Retry-After: 1\r\n" :
						status == 401 ? "WWW-Authenticate: Bearer\r\n" : NULL,
						message);
}

void
answer_problem_with(Http *http, int status, const char *code,
					const char *fields, const char *message)
{
	Buffer		body = {0};

	buffer_text(&body, "{\"type\":\"about:blank\",\"title\":");
	buffer_json(&body, answer_reason(status));
	buffer_printf(&body, ",\"status\":%d,\"code\":", status);
	buffer_json(&body, code);
	buffer_text(&body, ",\"message\":");
	buffer_json(&body, message);
	buffer_text(&body, ",\"detail\":");
	buffer_json(&body, message);
	buffer_text(&body, "}");
	answer_send(http, status, "application/problem+json", fields, body.data, body.len);
	buffer_free(&body);
}
