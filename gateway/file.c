/*
 * file.c
 *		Static files of one folder, which is the dashboard's unless an option names
 *		another.
 *
 * A path is walked segment by segment from the folder's descriptor, without
 * following links, so nothing outside of it is reached.  Reading a local file is not
 * counted as blocking: pieces are small, and files are few and warm.
 */
#include "file.h"

#include "answer.h"
#include "option.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE 65536

typedef struct Sending
{
	int			fd;
	off_t		left;
} Sending;

static int	open_below(const Url *url);
static void answer_unbuilt(Http *http);
static const char *type_of(const char *name);
static bool produce(Http *http, void *arg);
static void produced(void *arg);

void
file_request(Http *http, const Url *url)
{
	struct stat status;
	Buffer		fields = {0};
	char		etag[64];
	const char *known = http_header(http, "if-none-match");
	const char *name = url->segments[url->count - 1];
	int			fd = open_below(url);
	Sending    *sending;

	if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
	{
		if (fd >= 0)
			close(fd);
		if (url->count == 1 && *name == '\0' && options.files == NULL)
			answer_unbuilt(http);
		else
			answer_problem(http, 404, "not_found", "there is nothing at this address");
		return;
	}
	snprintf(etag, sizeof(etag), "\"%llx-%llx\"", (long long) status.st_mtime,
			 (long long) status.st_size);
	buffer_printf(&fields, "ETag: %s\r\nCache-Control: no-cache\r\n"
				  "Content-Security-Policy: default-src 'self'; base-uri 'none'; "
				  "form-action 'none'; frame-ancestors %s\r\n"
				  "Referrer-Policy: no-referrer\r\n", etag, options.frame_ancestors);
	if (known && strcmp(known, etag) == 0)
		answer_send(http, 304, NULL, fields.data, NULL, 0);
	else if (http->parser.method == HTTP_HEAD)
	{
		answer_head(http, 200, type_of(name), fields.data, status.st_size);
		http_answered(http);
	}
	else
	{
		sending = allocate(sizeof(Sending));
		sending->fd = fd;
		sending->left = status.st_size;
		answer_head(http, 200, type_of(name), fields.data, status.st_size);
		buffer_free(&fields);
		http_produce(http, produce, produced, sending);
		return;
	}
	buffer_free(&fields);
	close(fd);
}

/* The dashboard is built apart, since not everybody has Node.js. */
static void
answer_unbuilt(Http *http)
{
	static const char page[] =
		"<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Activity</title>\n"
		"<h1>The dashboard is not built</h1>\n"
		"<p>The gateway runs, and serves the API and the stream. For the dashboard, with Node.js and npm at hand,\n"
		"say this where the sources are, then load this page again:</p>\n"
		"<pre>make dashboard\nmake install</pre>\n"
		"<p>Or name a folder that has it: <code>activity-gateway --files FOLDER</code>.</p>\n";

	answer_send(http, 200, "text/html; charset=utf-8",
				"Cache-Control: no-store\r\nContent-Security-Policy: default-src 'none'\r\n",
				page, sizeof(page) - 1);
}

/* An empty last segment is the folder's index. */
static int
open_below(const Url *url)
{
	const char *folder = options.files ? options.files : GATEWAY_DASHBOARD;
	int			at = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int i = 0; i < url->count && at >= 0; i++)
	{
		const char *name = url->segments[i];
		bool		last = i == url->count - 1;
		int			next = -1;

		if (last && *name == '\0')
			name = "index.html";
		if (*name != '\0' && *name != '.' && strchr(name, '/') == NULL)
			next = openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC |
						  (last ? 0 : O_DIRECTORY));
		close(at);
		at = next;
	}
	return at;
}

static const char *
type_of(const char *name)
{
	static const char *const types[][2] = {
		{".html", "text/html; charset=utf-8"}, {".js", "text/javascript; charset=utf-8"},
		{".css", "text/css; charset=utf-8"}, {".svg", "image/svg+xml"},
		{".png", "image/png"}, {".ico", "image/x-icon"}, {".json", "application/json"},
		{".woff2", "font/woff2"}, {".txt", "text/plain; charset=utf-8"},
	};
	const char *dot = strrchr(name, '.');

	if (*name == '\0')
		return types[0][1];
	for (size_t i = 0; dot && i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(dot, types[i][0]) == 0)
			return types[i][1];
	return "application/octet-stream";
}

static bool
produce(Http *http, void *arg)
{
	static char piece[PIECE];
	Sending    *sending = arg;
	ssize_t		len = read(sending->fd, piece, Min(sending->left, PIECE));

	if (len <= 0)
	{
		/* Shorter than its head said: the client must not take it for whole. */
		if (sending->left > 0)
			http->keep = false;
		return false;
	}
	sending->left -= len;
	peer_write(http->peer, piece, len);
	return sending->left > 0;
}

static void
produced(void *arg)
{
	Sending    *sending = arg;

	close(sending->fd);
	free(sending);
}
