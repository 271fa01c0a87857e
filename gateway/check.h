/*
 * check.h
 *		Whether those who listen still may.
 */
#ifndef CHECK_H
#define CHECK_H

#include "client.h"

extern void check_add(Client *client);
extern void check_remove(Client *client);

/* Asks about some, the longest unasked first; once a second. */
extern void checks_tick(void);

/* Asks about an organization's clients now. */
extern void check_organization(Organization *organization);

/* The connection of this id has another secret, or none. */
extern void check_connection(const char *id);

/* The 16 bytes of a uuid; false if the text is none. */
extern bool uuid_parse(const char *text, uint8_t *bytes);

#endif
