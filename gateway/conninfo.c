/*
 * conninfo.c
 *		A connection string, its names resolved without blocking.
 *
 * Every address of every host becomes a host of its own, in the string's order, so
 * that libpq tries them one after the other, as it would by itself.
 */
#include "conninfo.h"

#include "address.h"
#include "buffer.h"
#include "loop.h"

#include <libpq-fe.h>

#define HOSTS_MOST 16
#define ADDRESSES_MOST 8		/* of a host */
#define PAIRS_MOST 64
#define LOOKUP_TIME 10000

typedef struct Host
{
	Conninfo   *conninfo;
	char	   *name;
	char	   *port;
	char	   *addresses[ADDRESSES_MOST];
	int			count;
	Lookup	   *lookup;
} Host;

struct Conninfo
{
	ConninfoFn	fn;
	void	   *arg;
	PQconninfoOption *given;
	Host		hosts[HOSTS_MOST];
	int			nhosts;
	int			waiting;		/* for so many look-ups */
	Timer	   *timer;
};

static void look_up(Host *host);
static void finish(Conninfo *conninfo);
static void free_conninfo(Conninfo *conninfo);

char *
conninfo_check(const char *text)
{
	char	   *why = NULL;
	PQconninfoOption *given = PQconninfoParse(text, &why);
	char	   *problem = NULL;

	if (given == NULL)
		problem = copy_text(why ? why : "out of memory");
	PQfreemem(why);
	PQconninfoFree(given);
	return problem;
}

static const char *
value_of(const Conninfo *conninfo, const char *keyword, const char *variable)
{
	for (PQconninfoOption *option = conninfo->given; option->keyword; option++)
		if (strcmp(option->keyword, keyword) == 0 && option->val && *option->val)
			return option->val;
	return getenv(variable) ? getenv(variable) : "";
}

static void
too_late(void *arg)
{
	Conninfo   *conninfo = arg;

	for (int i = 0; i < conninfo->nhosts; i++)
	{
		if (conninfo->hosts[i].lookup)
			lookup_forget(conninfo->hosts[i].lookup);
		conninfo->hosts[i].lookup = NULL;
	}
	finish(conninfo);
}

Conninfo *
conninfo_resolve(const char *text, ConninfoFn fn, void *arg)
{
	Conninfo   *conninfo = allocate(sizeof(Conninfo));
	char	   *hosts;
	char	   *ports;
	char	   *rest;
	char	   *next_port;
	char	   *last_port = "";
	char	   *name;

	conninfo->fn = fn;
	conninfo->arg = arg;
	conninfo->given = PQconninfoParse(text, NULL);
	Assert(conninfo->given);	/* it was checked */
	conninfo->timer = timer_open(too_late, conninfo);
	rest = hosts = copy_text(value_of(conninfo, "host", "PGHOST"));
	next_port = ports = copy_text(value_of(conninfo, "port", "PGPORT"));
	/* One port stands for all. */
	while ((name = strsep(&rest, ",")) != NULL && conninfo->nhosts < HOSTS_MOST)
	{
		Host	   *host = &conninfo->hosts[conninfo->nhosts++];

		if (next_port)
			last_port = strsep(&next_port, ",");
		host->conninfo = conninfo;
		host->name = copy_text(name);
		host->port = copy_text(last_port);
	}
	free(hosts);
	free(ports);

	conninfo->waiting = 1;		/* ourselves */
	/* Addresses that the string has need no look-up. */
	if (*value_of(conninfo, "hostaddr", "PGHOSTADDR") == '\0')
		for (int i = 0; i < conninfo->nhosts; i++)
			look_up(&conninfo->hosts[i]);
	timer_set(conninfo->timer, --conninfo->waiting == 0 ? 0 : LOOKUP_TIME);
	return conninfo;
}

static void
on_lookup(void *arg, int error, const struct addrinfo *list)
{
	Host	   *host = arg;
	Conninfo   *conninfo = host->conninfo;

	host->lookup = NULL;
	for (; error == 0 && list && host->count < ADDRESSES_MOST; list = list->ai_next)
	{
		Address		address;
		char		text[ADDRESS_TEXT_SIZE];

		if (address_of(list->ai_addr, &address))
			host->addresses[host->count++] = copy_text(address_text(&address, text));
	}
	if (--conninfo->waiting == 0)
		finish(conninfo);
}

/* Folders and addresses are no names. */
static bool
is_name(const Host *host)
{
	Address		address;

	return *host->name != '\0' && *host->name != '/' && *host->name != '@' &&
		!address_parse(host->name, &address);
}

static void
look_up(Host *host)
{
	if (!is_name(host))
		return;
	host->lookup = lookup_start(host->name, NULL, on_lookup, host);
	if (host->lookup)
		host->conninfo->waiting++;
}

/* host, hostaddr and port, one for each address; a name that has none is left out. */
static void
list_hosts(Conninfo *conninfo, Buffer *hosts, Buffer *addresses, Buffer *ports)
{
	const char *comma = "";
	bool		given = *value_of(conninfo, "hostaddr", "PGHOSTADDR") != '\0';

	for (int i = 0; i < conninfo->nhosts; i++)
	{
		Host	   *host = &conninfo->hosts[i];
		int			count = host->count == 0 && (given || !is_name(host)) ? 1 : host->count;

		for (int n = 0; n < count; n++)
		{
			buffer_printf(hosts, "%s%s", comma, host->name);
			buffer_printf(addresses, "%s%s", comma, host->count ? host->addresses[n] : "");
			buffer_printf(ports, "%s%s", comma, host->port);
			comma = ",";
		}
	}
}

static void
finish(Conninfo *conninfo)
{
	const char *keywords[PAIRS_MOST] = {"fallback_application_name", "tcp_user_timeout",
	"keepalives_idle", "keepalives_interval", "gssencmode"};
	const char *values[PAIRS_MOST] = {"activity-gateway", "20000", "10", "5", "disable"};
	int			n = 5;
	Buffer		hosts = {0};
	Buffer		addresses = {0};
	Buffer		ports = {0};
	bool		resolved = false;

	for (PQconninfoOption *option = conninfo->given; option->keyword; option++)
	{
		if (option->val == NULL || strcmp(option->keyword, "host") == 0 ||
			strcmp(option->keyword, "port") == 0)
			continue;
		keywords[n] = option->keyword;
		values[n++] = option->val;
	}
	list_hosts(conninfo, &hosts, &addresses, &ports);
	for (int i = 0; i < conninfo->nhosts; i++)
		resolved = resolved || conninfo->hosts[i].count > 0;
	keywords[n] = "host";
	values[n++] = hosts.data;
	keywords[n] = "port";
	values[n++] = ports.data;
	if (resolved)
	{
		keywords[n] = "hostaddr";
		values[n++] = addresses.data;
	}
	if (hosts.data == NULL)
		conninfo->fn(conninfo->arg, NULL, NULL, "the database's host name can't be resolved");
	else
		conninfo->fn(conninfo->arg, keywords, values, NULL);
	buffer_free(&hosts);
	buffer_free(&addresses);
	buffer_free(&ports);
	free_conninfo(conninfo);
}

static void
free_conninfo(Conninfo *conninfo)
{
	for (int i = 0; i < conninfo->nhosts; i++)
	{
		Host	   *host = &conninfo->hosts[i];

		if (host->lookup)
			lookup_forget(host->lookup);
		for (int n = 0; n < host->count; n++)
			free(host->addresses[n]);
		free(host->name);
		free(host->port);
	}
	PQconninfoFree(conninfo->given);
	timer_close(conninfo->timer);
	free(conninfo);
}

void
conninfo_forget(Conninfo *conninfo)
{
	free_conninfo(conninfo);
}
