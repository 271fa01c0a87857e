/*
 * route.c
 *		Which part answers a request.
 */
#include "route.h"

#include "answer.h"
#include "api.h"
#include "file.h"
#include "option.h"
#include "status.h"
#include "stream.h"
#include "url.h"

static bool
is_read(const Http *http)
{
	return http->parser.method == HTTP_GET || http->parser.method == HTTP_HEAD;
}

static bool
is(const Url *url, int count, const char *first)
{
	return url->count == count && strcmp(url->segments[0], first) == 0;
}

static bool
is_below(const Url *url, const char *first, const char *second)
{
	return url->count > 2 && strcmp(url->segments[0], first) == 0 &&
		strcmp(url->segments[1], second) == 0;
}

static bool
is_stream(const Url *url)
{
	return url->count == 5 && is_below(url, "api", "v1") &&
		strcmp(url->segments[2], "organizations") == 0 &&
		strcmp(url->segments[4], "stream") == 0;
}

static void
route(Http *http, const Url *url)
{
	if (http->peer->over_limit)
		answer_problem(http, 429, "too_many_connections", "there are too many connections from this address");
	else if (http->parser.method == HTTP_OPTIONS && http_header(http, "origin") &&
			 http_header(http, "access-control-request-method"))
		answer_send(http, 204, NULL, NULL, NULL, 0);
	else if (is_stream(url))
		stream_request(http, url);
	else if (is_below(url, "api", "v1"))
		api_request(http, url);
	else if (!is_read(http))
		answer_problem_with(http, 405, "method_not_allowed", "Allow: GET, HEAD\r\n", "only GET and HEAD are allowed here");
	else if (is(url, 1, "healthz"))
		status_health(http);
	else if (is(url, 1, "metrics"))
		status_metrics(http);
	else if (!options.no_dashboard)
		file_request(http, url);
	else
		answer_problem(http, 404, "not_found", "there is nothing at this address");
}

void
route_request(Http *http)
{
	const char *target = http->target.data ? http->target.data : "";
	Url			url;

	/* The absolute form (RFC 9112, 3.2.2) names a host that Host names, too. */
	if (strncmp(target, "http://", 7) == 0 || strncmp(target, "https://", 8) == 0)
	{
		target = strchr(strstr(target, "://") + 3, '/');
		if (target == NULL)
			target = "/";
	}
	/* Some clients join their base and a path with one slash too many. */
	if (strncmp(target, "//api/", 6) == 0)
		target++;
	if (url_parse(target, &url))
		route(http, &url);
	else
		answer_problem(http, 400, "bad_target", "the request's target is no path");
	url_free(&url);
}
