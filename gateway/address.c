/*
 * address.c
 *		Network addresses, and which of them webhooks may reach.
 *
 * The check is made on the address that is connected to and not on a name, so a
 * name that changes its mind gains nothing.
 */
#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

bool
address_of(const struct sockaddr *from, Address *address)
{
	if (from->sa_family == AF_INET)
	{
		memcpy(address->bytes, mapped, 12);
		memcpy(address->bytes + 12,
			   &((const struct sockaddr_in *) from)->sin_addr, 4);
		return true;
	}
	if (from->sa_family != AF_INET6)
		return false;
	memcpy(address->bytes, &((const struct sockaddr_in6 *) from)->sin6_addr, 16);
	return true;
}

bool
address_parse(const char *text, Address *address)
{
	memcpy(address->bytes, mapped, 12);
	return inet_pton(AF_INET, text, address->bytes + 12) == 1 ||
		inet_pton(AF_INET6, text, address->bytes) == 1;
}

const char *
address_text(const Address *address, char *text)
{
	if (memcmp(address->bytes, mapped, 12) == 0)
		inet_ntop(AF_INET, address->bytes + 12, text, ADDRESS_TEXT_SIZE);
	else
		inet_ntop(AF_INET6, address->bytes, text, ADDRESS_TEXT_SIZE);
	return text;
}

Address
address_counted(const Address *address)
{
	Address		counted = *address;

	if (memcmp(counted.bytes, mapped, 12) != 0)
		memset(counted.bytes + 8, 0, 8);
	return counted;
}

bool
network_parse(const char *text, Network *network)
{
	char		address[ADDRESS_TEXT_SIZE];
	const char *slash = strchr(text, '/');
	size_t		len = slash ? (size_t) (slash - text) : strlen(text);
	int			width;
	char	   *end;

	if (len >= sizeof(address))
		return false;
	memcpy(address, text, len);
	address[len] = '\0';
	if (!address_parse(address, &network->address))
		return false;
	width = strchr(address, ':') ? 128 : 32;
	network->bits = 128;
	if (slash == NULL)
		return true;
	network->bits = strtol(slash + 1, &end, 10);
	if (end == slash + 1 || *end != '\0' || network->bits < 0 || network->bits > width)
		return false;
	network->bits += 128 - width;
	return true;
}

bool
network_has(const Network *network, const Address *address)
{
	int			whole = network->bits / 8;
	int			rest = network->bits % 8;

	if (memcmp(network->address.bytes, address->bytes, whole) != 0)
		return false;
	return rest == 0 ||
		(network->address.bytes[whole] ^ address->bytes[whole]) >> (8 - rest) == 0;
}

bool
address_is_in(const Address *address, char **networks)
{
	for (; *networks; networks++)
	{
		Network		network;

		if (network_parse(*networks, &network) && network_has(&network, address))
			return true;
	}
	return false;
}

/* IANA's registries of special-purpose addresses, and multicast. */
static char *closed[] = {
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
	"172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
	"192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
	"224.0.0.0/4", "240.0.0.0/4",
	"2001::/23", "2001:db8::/32", "3fff::/20",
	NULL
};

bool
address_is_public(const Address *address)
{
	static const Network global = {{{0x20}}, 3};	/* 2000::/3 */
	static const Network six_to_four = {{{0x20, 0x02}}, 16};
	static const Network nat64 = {{{0x00, 0x64, 0xff, 0x9b}}, 96};
	Address		inner = *address;

	/* What carries an IPv4 address ends up there. */
	memcpy(inner.bytes, mapped, 12);
	if (network_has(&six_to_four, address))
		memcpy(inner.bytes + 12, address->bytes + 2, 4);
	else if (!network_has(&nat64, address) &&
			 memcmp(address->bytes, mapped, 12) != 0)
		return network_has(&global, address) && !address_is_in(address, closed);
	return !address_is_in(&inner, closed);
}
