/*
 * api.c
 *		Requests that the database answers.
 *
 * activity.http() authenticates, routes and answers; here bytes are carried.
 */
#include "api.h"

#include "answer.h"
#include "database.h"
#include "export.h"
#include "log.h"
#include "rate.h"
#include "reader.h"
#include "utf8.h"

#include <jansson.h>

/* Says that the body may follow piece by piece (sql/http_export.sql). */
#define STREAM_FIELD "x-activity-stream"

/* A request that the database has. */
typedef struct Call
{
	Http	   *http;
	bool		writes;
	char	   *path;
	char	   *query;
	char	   *headers;
} Call;

static void ask(Call *call, const char *const *parameters);
static bool only_reads(Http *http);
static const char *caller_of(Http *http);
static char *headers_json(Http *http);
static void answered(void *arg, const Answer *answer);

void
api_request(Http *http, const Url *url)
{
	Utf8		utf8 = {0};
	const char *body = http->body.data ? http->body.data : "";
	const char *parameters[5] = {llhttp_method_name(http->parser.method), url->path,
	url->query, NULL, body};
	Call	   *call;

	if (!rate_takes(http))
	{
		answer_problem(http, 429, "too_many_requests", "there were too many requests in the last second");
		return;
	}
	if (strlen(body) != http->body.len || !utf8_check(&utf8, body, http->body.len) ||
		!utf8_is_whole(&utf8))
	{
		answer_problem(http, 400, "bad_body", "the body is not UTF-8");
		return;
	}
	if ((!database_is_up() || database_is_crowded()) &&
		!(only_reads(http) && reader_may_serve(caller_of(http))))
	{
		answer_problem(http, 503, "database_away", "the database can't be reached at the moment");
		return;
	}
	call = allocate(sizeof(Call));
	call->http = http;
	call->path = copy_text(url->path);
	call->query = copy_text(url->query);
	call->headers = headers_json(http);
	parameters[3] = call->headers;
	call->writes = !only_reads(http);
	ask(call, parameters);
}

static void
ask(Call *call, const char *const *parameters)
{
	const char *sql = "SELECT status, headers, body FROM activity.http($1, $2, $3, $4::jsonb, $5)";

	const char *caller = caller_of(call->http);

	if (!call->writes && reader_may_serve(caller))
		(void) database_ask_reader_for(caller, sql, 5, parameters, answered, call);
	else
		(void) database_ask_for(caller, sql, 5, parameters, answered, call);
}

static bool
only_reads(Http *http)
{
	return http->parser.method == HTTP_GET || http->parser.method == HTTP_HEAD;
}

/* What tells one caller from another, good enough to remember that he wrote. */
static const char *
caller_of(Http *http)
{
	const char *bearer = http_header(http, "authorization");
	const char *cookie = http_header(http, "cookie");

	return bearer ? bearer : cookie ? cookie : "";
}

/* An object of the header fields; those of one name are joined. */
static char *
headers_json(Http *http)
{
	Buffer		json = {0};
	const char *at = http->headers.data;
	const char *end = http->whole > 0 ? at + http->whole : at;

	buffer_text(&json, "{");
	for (const char *value; at < end; at = value + strlen(value) + 1)
	{
		Buffer		all = {0};
		Buffer		clean = {0};

		value = at + strlen(at) + 1;
		if (http_header(http, at) != value || strcmp(at, STREAM_FIELD) == 0)
			continue;			/* it was joined to the first, or is ours to say */
		http_header_all(http, at, &all);
		utf8_append_clean(&clean, all.data ? all.data : "", all.len);
		buffer_text(&json, json.len > 1 ? "," : "");
		buffer_json(&json, at);
		buffer_text(&json, ":");
		buffer_json(&json, clean.data ? clean.data : "");
		buffer_free(&all);
		buffer_free(&clean);
	}
	buffer_text(&json, json.len > 1 ? ",\"" STREAM_FIELD "\":\"1\"}" : "{\"" STREAM_FIELD "\":\"1\"}");
	return json.data;
}

/* Fields that the answer may set; those of the connection are ours. */
static bool
is_ours(const char *name)
{
	static const char *const ours[] = {"connection", "content-length", "date",
	"keep-alive", "transfer-encoding", "upgrade"};

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (strcasecmp(name, ours[i]) == 0)
			return true;
	return false;
}

static char *
header_fields(const char *text, const char **type, bool *streams)
{
	json_t	   *object = json_loads(text, 0, NULL);
	Buffer		fields = {0};
	const char *name;
	json_t	   *value;

	buffer_text(&fields, "");
	json_object_foreach(object, name, value)
	{
		const char *words = json_string_value(value);

		if (words == NULL || is_ours(name) || strpbrk(words, "\r\n") || strpbrk(name, "\r\n: "))
			continue;
		if (strcasecmp(name, "content-type") == 0 && *type == NULL)
			*type = copy_text(words);
		else if (strcasecmp(name, STREAM_FIELD) == 0)
			*streams = true;
		else
			buffer_printf(&fields, "%s: %s\r\n", name, words);
	}
	json_decref(object);
	return fields.data;
}

static void
answered(void *arg, const Answer *answer)
{
	Call	   *call = arg;
	Http	   *http = call->http;
	const PGresult *result = answer->result;
	const char *type = NULL;
	bool		streams = false;
	char	   *fields;

	if (call->writes)
		reader_wrote(caller_of(http));
	if (result && PQntuples(result) == 1)
	{
		int			status = atoi(PQgetvalue(result, 0, 0));

		fields = header_fields(PQgetvalue(result, 0, 1), &type, &streams);
		if (streams)
			export_begin(http, caller_of(http), type ? type : "application/octet-stream", fields,
						 call->path, call->query, call->headers);
		else
			answer_send(http, status >= 200 && status < 600 ? status : 500, type, fields,
						PQgetvalue(result, 0, 2), PQgetlength(result, 0, 2));
		free(fields);
		free((char *) type);
	}
	else if (answer->away)
		answer_problem(http, 503, "database_away", "the database can't be reached at the moment");
	else if (strcmp(answer->sqlstate, "42883") == 0)
		answer_problem(http, 404, "no_api", "this database has no HTTP API");
	else
	{
		log_line(LOG_ERROR, "event=api sqlstate=%s reason=%s", answer->sqlstate,
				 log_quote(answer->message ? answer->message : ""));
		answer_problem(http, 500, "internal_error", "the request could not be answered");
	}
	free(call->path);
	free(call->query);
	free(call->headers);
	free(call);
}
