/*
 * listener.c
 *		Where clients come in.
 *
 * When descriptors are used up, a client that waits at the door would wake the
 * loop again and again; so one descriptor is kept in reserve, with which the
 * client is let in and sent away, and the door stays shut for a moment.
 */
#include "listener.h"

#include "http.h"
#include "log.h"
#include "loop.h"
#include "map.h"
#include "metrics.h"
#include "option.h"
#include "peer.h"
#include "tls.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#define BACKLOG 4096
#define ACCEPTS_MOST 64			/* in a turn */
#define PAUSE_TIME 100

static int	fd = -1;
static int	reserve = -1;
static Watch *watch;
static Timer *pause_timer;
static char *url;
static Map *addresses;			/* to their counts of connections */

static void accept_some(void *arg, int events);

static void
go_on(void *arg)
{
	if (watch)
		watch_set(watch, WATCH_READ);
}

static char *
complain(const char *where, const char *why)
{
	char	   *text;

	if (asprintf(&text, "could not listen on \"%s\": %s", where, why) < 0)
		abort();
	return text;
}

static const char *
bind_to(const struct addrinfo *at)
{
	int			on = 1;

	fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return strerror(errno);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, at->ai_addr, at->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0)
	{
		const char *why = strerror(errno);

		close(fd);
		return why;
	}
	return NULL;
}

static void
name_url(void)
{
	struct sockaddr_storage bound;
	socklen_t	size = sizeof(bound);
	char		host[NI_MAXHOST];
	char		port[NI_MAXSERV];
	bool		brackets;

	if (getsockname(fd, (struct sockaddr *) &bound, &size) < 0 ||
		getnameinfo((struct sockaddr *) &bound, size, host, sizeof(host), port,
					sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		abort();
	brackets = strchr(host, ':') != NULL;
	if (asprintf(&url, "%s://%s%s%s:%s", tls_is_on() ? "https" : "http",
				 brackets ? "[" : "", host, brackets ? "]" : "", port) < 0)
		abort();
}

/* At the start, before anything is served: this one name may be waited for. */
char *
listener_open(const char *where)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	struct addrinfo *list;
	const char *colon = strrchr(where, ':');
	char	   *host = copy_bytes(where, colon - where);
	size_t		len = strlen(host);
	const char *why;
	int			error;

	if (len >= 2 && host[0] == '[' && host[len - 1] == ']')
	{
		host[len - 1] = '\0';
		memmove(host, host + 1, len - 1);
	}
	error = getaddrinfo(*host && strcmp(host, "*") != 0 ? host : NULL, colon + 1,
						&hints, &list);
	free(host);
	if (error != 0)
		return complain(where, gai_strerror(error));
	why = bind_to(list);
	freeaddrinfo(list);
	if (why)
		return complain(where, why);
	name_url();
	reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	addresses = map_make();
	pause_timer = timer_open(go_on, NULL);
	watch = watch_open(fd, accept_some, NULL);
	watch_set(watch, WATCH_READ);
	return NULL;
}

const char *
listener_url(void)
{
	return url;
}

static void
close_fd(void *arg)
{
	close(fd);
	fd = -1;
}

void
listener_close(void)
{
	if (watch == NULL)
		return;
	timer_close(pause_timer);
	watch_close(watch, close_fd);
	watch = NULL;
}

/* How many connections there are from there, after so many more. */
static intptr_t
count(const Address *address, int more)
{
	Address		counted = address_counted(address);
	const char *key = (const char *) counted.bytes;
	intptr_t	have = (intptr_t) map_get(addresses, key, sizeof(counted.bytes)) + more;

	if (have <= 0)
		map_remove(addresses, key, sizeof(counted.bytes));
	else
		map_put(addresses, key, sizeof(counted.bytes), (void *) have);
	return have;
}

void
listener_forget(const Address *address)
{
	(void) count(address, -1);
}

static void
refuse_for_want_of_descriptors(void)
{
	static int64_t logged = 0;

	if (loop_now() - logged > 10000 || logged == 0)
	{
		logged = loop_now();
		log_line(LOG_ERROR, "event=refused problem=\"no descriptors are left\" connections=%zu",
				 peers_count());
	}
	if (reserve >= 0)
	{
		int			client;

		close(reserve);
		client = accept(fd, NULL, NULL);
		if (client >= 0)
			close(client);
		reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	metrics.connections_refused++;
	watch_set(watch, 0);
	timer_set(pause_timer, PAUSE_TIME);
}

static void
take(int client, const struct sockaddr *from)
{
	Address		address = {{0}};
	int			on = 1;
	intptr_t	have;
	Peer	   *peer;

	address_of(from, &address);
	if (peers_count() >= (size_t) options.max_connections)
	{
		metrics.connections_refused++;
		close(client);
		return;
	}
	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	have = count(&address, 1);
	peer = http_serve(client, &address, tls_is_on());
	/* It is answered 429, which costs a little; far too many are just closed. */
	if (have > options.max_connections_per_address &&
		!address_is_in(&address, options.trusted_proxy))
	{
		metrics.connections_refused++;
		peer->over_limit = true;
		if (have > options.max_connections_per_address + 100)
			peer_close(peer);
	}
}

static void
accept_some(void *arg, int events)
{
	for (int i = 0; i < ACCEPTS_MOST && watch; i++)
	{
		struct sockaddr_storage from;
		socklen_t	size = sizeof(from);
		int			client = accept4(fd, (struct sockaddr *) &from, &size,
									 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (client >= 0)
			take(client, (struct sockaddr *) &from);
		else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
		{
			refuse_for_want_of_descriptors();
			return;
		}
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			return;
	}
}
