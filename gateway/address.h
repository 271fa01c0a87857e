/*
 * address.h
 *		Network addresses, and which of them webhooks may reach.
 */
#ifndef ADDRESS_H
#define ADDRESS_H

#include "gateway.h"

#include <sys/socket.h>

/* IPv6; an IPv4 address is the mapped one, ::ffff:a.b.c.d.  No port. */
typedef struct Address
{
	unsigned char bytes[16];
} Address;

#define ADDRESS_TEXT_SIZE 48

typedef struct Network
{
	Address		address;
	int			bits;			/* of the 128 */
} Network;

/* False for another family. */
extern bool address_of(const struct sockaddr *from, Address *address);
extern bool address_parse(const char *text, Address *address);
extern const char *address_text(const Address *address, char *text);

extern bool network_parse(const char *text, Network *network);
extern bool network_has(const Network *network, const Address *address);

/* Is it in one of the networks, which options_check has seen? */
extern bool address_is_in(const Address *address, char **networks);

/* Whom limits count as one: an IPv4 address, or the 64 bits of IPv6 that one host has to itself. */
extern Address address_counted(const Address *address);

/*
 * May a webhook go there?  A public address may, in whatever way it is written;
 * what is private, of this machine, of this link, of a cloud's metadata, reserved,
 * or a form of these that is translated on the way may not.
 */
extern bool address_is_public(const Address *address);

#endif
