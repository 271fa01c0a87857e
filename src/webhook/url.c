/*
 * webhook/url.c
 *		Which addresses a webhook may be sent to.
 *
 * An endpoint's address comes from a customer and is called from inside the
 * operator's network, so it must not name anything in there.  Two readers of
 * one url are the danger: what this parser takes for a public host, libcurl or
 * a WHATWG parser may take for another one.  So it accepts only what all of
 * them read alike, and refuses the rest instead of interpreting it: no
 * backslash, control or non-ASCII character, no user, no percent sign in the
 * host, no number as a host but four plain decimals, no zone, no trailing dot.
 *
 * The tables are the special-purpose registries of RFC 6890 and its updates,
 * plus the addresses at which clouds serve credentials to their machines.
 */
#include "activity.h"

#include <arpa/inet.h>
#include <ctype.h>

#include "utils/builtins.h"

#include "base/compat.h"
#include "webhook/url.h"

PG_FUNCTION_INFO_V1(act_webhook_url_problem);

typedef struct Span
{
	const char *at;
	int			len;
} Span;

typedef struct Range4
{
	uint32		network;
	int			bits;
	const char *what;
} Range4;

#define IP4(a, b, c, d) \
	(((uint32) (a) << 24) | ((uint32) (b) << 16) | ((uint32) (c) << 8) | (uint32) (d))

static const Range4 special4[] = {
	{IP4(0, 0, 0, 0), 8, "an unspecified"},
	{IP4(10, 0, 0, 0), 8, "a private"},
	{IP4(100, 64, 0, 0), 10, "a shared"},
	{IP4(127, 0, 0, 0), 8, "a loopback"},
	{IP4(168, 63, 129, 16), 32, "a metadata"},
	{IP4(169, 254, 0, 0), 16, "a link-local"},
	{IP4(172, 16, 0, 0), 12, "a private"},
	{IP4(192, 0, 0, 0), 24, "a reserved"},
	{IP4(192, 0, 2, 0), 24, "a documentation"},
	{IP4(192, 31, 196, 0), 24, "a reserved"},
	{IP4(192, 52, 193, 0), 24, "a reserved"},
	{IP4(192, 88, 99, 0), 24, "a reserved"},
	{IP4(192, 168, 0, 0), 16, "a private"},
	{IP4(192, 175, 48, 0), 24, "a reserved"},
	{IP4(198, 18, 0, 0), 15, "a benchmarking"},
	{IP4(198, 51, 100, 0), 24, "a documentation"},
	{IP4(203, 0, 113, 0), 24, "a documentation"},
	{IP4(224, 0, 0, 0), 4, "a multicast"},
	{IP4(240, 0, 0, 0), 4, "a reserved"}
};

typedef struct Range6
{
	uint8		network[8];		/* no range is longer than 64 bits, but three */
	int			bits;
	const char *what;
} Range6;

/* Everything outside 2000::/3 is refused without being listed. */
static const Range6 special6[] = {
	{{0x20, 0x01, 0x00}, 23, "a reserved"},	/* Teredo, benchmarks, ORCHID, … */
	{{0x20, 0x01, 0x0d, 0xb8}, 32, "a documentation"},
	{{0x20, 0x02}, 16, "a 6to4"},
	{{0x26, 0x20, 0x00, 0x4f, 0x80, 0x00}, 48, "a reserved"},
	{{0x3f, 0xff, 0x00}, 20, "a documentation"}
};

/* Names, with all that is below them, which only make sense inside. */
static const char *const inner_names[] = {
	"localhost", "localdomain", "local", "internal", "intranet", "private",
	"corp", "home", "lan", "home.arpa", "onion", "svc", "consul", "docker",
	"metadata.goog"
};

/* Names that never lead anywhere (RFC 6761, RFC 9476). */
static const char *const reserved_names[] = {
	"test", "example", "invalid", "alt"
};

static const char inner_problem[] = "has a name of the inner network";

static const char *check_authority(Span authority, bool tls);
static const char *check_port(Span port, bool loopback);
static const char *check_host(Span host, bool *loopback);
static const char *check_name(Span host);
static const char *check_ip4(Span host, bool *loopback);
static const char *check_ip6(Span host, bool *loopback);
static bool is_below(Span host, const char *name);
static bool ends_in_number(Span host);

const char *
act_url_problem(const char *url, int len)
{
	Span		authority;
	bool		tls;
	int			i;

	if (len > ACT_URL_MAX)
		return psprintf("is longer than %d bytes", ACT_URL_MAX);
	url = pnstrdup(url, len);
	for (i = 0; i < len; i++)
	{
		unsigned char c = url[i];

		if (c > 0x7e)
			return "holds a character outside ASCII (write a name as xn--..., a path in percent-encoding)";
		if (c <= 0x20 || strchr("\\\"<>^`{|}", c) != NULL)
			return "holds a space, control character, backslash or other character that no url may hold";
		if (c == '#')
			return "has a fragment";
	}
	if (pg_strncasecmp(url, "https://", 8) == 0)
		tls = true;
	else if (pg_strncasecmp(url, "http://", 7) == 0)
		tls = false;
	else
		return "does not begin with https://";

	authority.at = url + (tls ? 8 : 7);
	authority.len = strcspn(authority.at, "/?");
	for (i = authority.at + authority.len - url; i < len; i++)
		if (url[i] == '%' &&
			(i + 2 >= len || !isxdigit((unsigned char) url[i + 1]) ||
			 !isxdigit((unsigned char) url[i + 2])))
			return "has a percent sign without two hexadecimal digits";
	return check_authority(authority, tls);
}

void
act_url_check(const char *url, int len)
{
	const char *problem = act_url_problem(url, len);

	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_ACT_BAD_URL),
				 errmsg("webhook url %s", problem),
				 errhint("A webhook goes to a public https address, such as https://example.com/hook; see the settings activity.webhook_ports and activity.allow_insecure_webhooks.")));
}

/* host[:port], no user */
static const char *
check_authority(Span authority, bool tls)
{
	Span		host = authority;
	Span		port = {NULL, 0};
	const char *colon;
	const char *problem;
	bool		loopback = false;

	if (strcspn(authority.at, "@") < authority.len)
		return "holds a user or password";
	if (authority.len > 0 && authority.at[0] == '[')
	{
		host.len = strcspn(authority.at, "]") + 1;
		if (host.len > authority.len)
			return "has a bracket that is not closed";
		colon = host.len < authority.len ? authority.at + host.len : NULL;
		if (colon != NULL && *colon != ':')
			return "has text after its address";
	}
	else
	{
		host.len = Min(strcspn(authority.at, ":"), authority.len);
		colon = host.len < authority.len ? authority.at + host.len : NULL;
	}
	if (colon != NULL)
	{
		port.at = colon + 1;
		port.len = authority.at + authority.len - port.at;
	}

	problem = check_host(host, &loopback);
	if (problem != NULL)
		return problem;
	if (!tls && !loopback)
		return "does not begin with https://";
	if (colon == NULL)
	{
		port.at = "443";
		port.len = 3;
	}
	return check_port(port, loopback);
}

/* A port of activity.webhook_ports; on loopback any. */
static const char *
check_port(Span port, bool loopback)
{
	int			number = 0;
	const char *p;

	if (port.len == 0 || port.len > 5 || port.at[0] == '0')
		return "has a bad port";
	for (int i = 0; i < port.len; i++)
	{
		if (!isdigit((unsigned char) port.at[i]))
			return "has a bad port";
		number = number * 10 + (port.at[i] - '0');
	}
	if (number > 65535)
		return "has a bad port";
	if (loopback)
		return NULL;
	for (p = act_setting_webhook_ports; p != NULL && *p != '\0';)
	{
		char	   *end;
		long		first = strtol(p, &end, 10);
		long		last = first;

		if (*end == '-')
			last = strtol(end + 1, &end, 10);
		if (number >= first && number <= last)
			return NULL;
		p = end + strspn(end, ", \t");
		if (end == p && *p != '\0')
			break;
	}
	return psprintf("has port %d, which activity.webhook_ports does not list",
					number);
}

/* *loopback: is this machine, and the settings allow it. */
static const char *
check_host(Span host, bool *loopback)
{
	const char *problem;

	if (host.len == 0)
		return "has no host";
	if (host.at[0] == '[')
		problem = check_ip6(host, loopback);
	else if (ends_in_number(host))
		problem = check_ip4(host, loopback);
	else
	{
		problem = check_name(host);
		*loopback = problem == inner_problem && is_below(host, "localhost");
	}
	if (*loopback && act_setting_allow_insecure_webhooks)
		return NULL;
	*loopback = false;
	return problem;
}

/* Letters, digits and hyphens, at least two labels. */
static const char *
check_name(Span host)
{
	int			label = 0;
	int			dots = 0;

	if (host.len > 253)
		return "has a host name longer than 253 bytes";
	for (int i = 0; i < host.len; i++)
	{
		char		c = host.at[i];

		if (c == '.')
		{
			if (label == 0 || host.at[i - 1] == '-')
				return "has a bad host name";
			label = 0;
			dots++;
		}
		else if (!isalnum((unsigned char) c) && c != '-')
			return "has a bad host name";
		else if (++label > 63 || (c == '-' && label == 1))
			return "has a bad host name";
	}
	if (label == 0 || host.at[host.len - 1] == '-')
		return "has a bad host name";
	for (int i = 0; i < lengthof(inner_names); i++)
		if (is_below(host, inner_names[i]))
			return inner_problem;
	for (int i = 0; i < lengthof(reserved_names); i++)
		if (is_below(host, reserved_names[i]))
			return "has a reserved name, which leads nowhere";
	if (dots == 0)
		return "has a host name without a dot";
	return NULL;
}

/*
 * Four decimals from 0 to 255 without leading zeros.  The other forms that
 * inet_aton reads (0x7f000001, 017700000001, 2130706433, 127.1) are refused
 * whatever they stand for.
 */
static const char *
check_ip4(Span host, bool *loopback)
{
	uint32		address = 0;
	int			parts = 0;
	int			i = 0;

	while (i < host.len)
	{
		int			start = i;
		int			part = 0;

		while (i < host.len && isdigit((unsigned char) host.at[i]) && i - start < 4)
			part = part * 10 + (host.at[i++] - '0');
		if (i == start || part > 255 || (host.at[start] == '0' && i - start > 1) ||
			(i < host.len && host.at[i] != '.') || ++parts > 4)
			return "has a number for a host that is not written as four decimals";
		address = (address << 8) | part;
		if (i < host.len && ++i == host.len)
			return "has a bad host name";
	}
	if (parts != 4)
		return "has a number for a host that is not written as four decimals";

	*loopback = (address >> 24) == 127;
	for (i = 0; i < lengthof(special4); i++)
		if (((address ^ special4[i].network) >> (32 - special4[i].bits)) == 0)
			return psprintf("has %s address", special4[i].what);
	return NULL;
}

/* [address], no zone; all forms that carry an IPv4 address are refused. */
static const char *
check_ip6(Span host, bool *loopback)
{
	char		text[INET6_ADDRSTRLEN];
	uint8		address[16];
	static const uint8 one[16] = {[15] = 1};

	if (host.len - 2 >= (int) sizeof(text) || host.len < 4)
		return "has a bad address";
	memcpy(text, host.at + 1, host.len - 2);
	text[host.len - 2] = '\0';
	if (inet_pton(AF_INET6, text, address) != 1)
		return "has a bad address";

	*loopback = memcmp(address, one, 16) == 0;
	if (*loopback)
		return "has a loopback address";
	if ((address[0] & 0xe0) != 0x20)
		return "has a private, mapped, link-local or otherwise special address";
	for (int i = 0; i < lengthof(special6); i++)
	{
		int			bytes = special6[i].bits / 8;
		int			rest = special6[i].bits % 8;

		if (memcmp(address, special6[i].network, bytes) == 0 &&
			(rest == 0 ||
			 ((address[bytes] ^ special6[i].network[bytes]) >> (8 - rest)) == 0))
			return psprintf("has %s address", special6[i].what);
	}
	return NULL;
}

/* The name itself, or below it. */
static bool
is_below(Span host, const char *name)
{
	int			len = strlen(name);

	return host.len >= len &&
		pg_strncasecmp(host.at + host.len - len, name, len) == 0 &&
		(host.len == len || host.at[host.len - len - 1] == '.');
}

/* Whether a WHATWG parser would read an IPv4 address: the last label, or the
 * one before a trailing dot, is a number in some notation. */
static bool
ends_in_number(Span host)
{
	int			end = host.len;
	int			start;

	if (end > 0 && host.at[end - 1] == '.')
		end--;
	for (start = end; start > 0 && host.at[start - 1] != '.'; start--)
		;
	if (start == end)
		return false;
	if (end - start >= 2 && host.at[start] == '0' &&
		(host.at[start + 1] == 'x' || host.at[start + 1] == 'X'))
		return strspn(host.at + start + 2, "0123456789abcdefABCDEF") >= end - start - 2;
	return strspn(host.at + start, "0123456789") >= end - start;
}

/* _activity.webhook_url_problem(url text) RETURNS text */
PGDLLEXPORT Datum
act_webhook_url_problem(PG_FUNCTION_ARGS)
{
	text	   *url = PG_GETARG_TEXT_PP(0);
	const char *problem = act_url_problem(VARDATA_ANY(url), VARSIZE_ANY_EXHDR(url));

	if (problem == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(problem));
}
