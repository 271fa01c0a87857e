/*
 * organization.h
 *		An organization that somebody listens to: its newest events, read once for all.
 */
#ifndef ORGANIZATION_H
#define ORGANIZATION_H

#include "database.h"
#include "frame.h"

typedef struct Client Client;

/* An event that was read a moment ago. */
typedef struct Event
{
	struct Event *next;
	uint64_t	serial;			/* no other event ever had it */
	Place		place;
	int64_t		prev;			/* the position before it in this list */
	char	   *type;			/* NULL: there is none at this position any more */
	char	   *object;
	size_t		len;
} Event;

typedef struct Organization
{
	char	   *name;
	Client	   *clients;
	int			nclients;
	Place		at;				/* the newest event that was read */
	int64_t		heard;			/* the newest position that we have heard of */
	Event	   *first;			/* the newest events, oldest first, without a gap */
	Event	   *last;
	Event	   *fresh;			/* the first one that the last reading brought */
	size_t		bytes;
	int			events;
	bool		wanted;			/* something is to be read */
	bool		restarting;		/* its place is not known any more */
	Query	   *query;
	Client	   *reader;			/* whose secret the query has; NULL: gone */
	int64_t		asked;			/* when the query began */
	int64_t		read_at;		/* when events were last read */
} Organization;

extern void organizations_open(void);

/*
 * The organization, known from now on; at is where its stream stands, by what the
 * database has just said to somebody who may listen.
 */
extern Organization *organization_get(const char *name, const Place *at);

extern void organization_add(Organization *organization, Client *client);

/* Forgets the organization with its last client. */
extern void organization_remove(Organization *organization, Client *client);

/* The first event after the position, or NULL if it has to be read from the log. */
extern Event *organization_event_after(Organization *organization, int64_t position);

/* A message says that there is an event of this type at this position. */
extern void organization_hint(const char *name, int64_t position, const char *type);

/* The database says that its stream has come so far. */
extern void organization_heard(Organization *organization, int64_t position);

/* Messages may have been lost: everybody looks. */
extern void organizations_look(void);

/* Once a second: drops events that nobody needs any more. */
extern void organizations_tick(void);

extern void organizations_each(void (*visit) (void *organization, void *arg), void *arg);
extern size_t organizations_count(void);

#endif
