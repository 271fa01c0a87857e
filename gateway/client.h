/*
 * client.h
 *		A client of a stream, over WebSocket or SSE.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include "database.h"
#include "filter.h"
#include "organization.h"
#include "peer.h"
#include "websocket.h"

#define DIGEST_SIZE 32

typedef enum ClientState
{
	CLIENT_OPEN,				/* has not subscribed */
	CLIENT_STREAMING,
	CLIENT_OVER					/* nothing more is sent */
} ClientState;

/* Connections of one member of an organization. */
typedef struct Member
{
	int			count;
	char		key[];
} Member;

struct Client
{
	Client	   *prev;			/* of the organization */
	Client	   *next;
	Client	   *check_prev;		/* of all, in the order of checks (check.c) */
	Client	   *check_next;
	Peer	   *peer;
	Organization *organization;
	Member	   *member;
	Filter	   *filter;			/* NULL: everything */
	Query	   *query;			/* a replay that runs */
	Place		at;				/* reached: what comes next is after it */
	int64_t		told;			/* the position that it knows it has reached */
	Place		goal;			/* where the organization was when the replay began */
	int64_t		earliest;		/* as hello said */
	int64_t		opened;
	int64_t		said;			/* when the last frame was sent */
	int64_t		pinged;			/* when a ping was sent */
	uint8_t		digest[DIGEST_SIZE];	/* of its secret */
	uint8_t		connection[16];	/* its id */
	uint8_t		state;
	bool		sse;
	bool		unanswered;		/* the ping */
	bool		verify;			/* the database has to see its cursor, or its filter */
	bool		has_goal;
	uint8_t		reset_reason;	/* the last digit of AC010, AC011, AC012 */
	bool		from_earliest;	/* it has no cursor yet */
	bool		live;			/* it was told that it has caught up */
	bool		failed;			/* its replay: wait for the database */
	int			checking;		/* its number in the check that runs, or 0 */
	WebSocket	socket;
};

/*
 * Serves a connection whose secret was good, and whose answer's head is out.
 * early is what the client has sent behind its handshake.
 */
extern void client_open(Client *client, Peer *peer, Buffer *early, const Place *head);
extern const PeerOps client_ops;

/* What its subscription says; cursor is NULL for now, words NULL for everything. */
extern void client_subscribe(Client *client, const char *cursor, const char *words);

/* Sends what there is and its socket takes. */
extern void client_pump(Client *client);

/* Ends it with this code and reason; SSE just ends. */
extern void client_end(Client *client, int code, const char *reason);

/* Its secret, member or tier is lost, as the database says with this SQLSTATE. */
extern void client_lose(Client *client, const char *sqlstate);

/* Whether the SQLSTATE says that the client may listen no more. */
extern bool client_is_lost(const char *sqlstate);

extern void client_digest_text(const Client *client, char *text);	/* 67 bytes */

/* Sends a frame: JSON, and for SSE its event's name and id, or NULL. */
extern void client_send(Client *client, const char *name, const char *id,
						const Buffer *json);

/* subscribe.c: what a client has said on a WebSocket. */
extern void subscribe_message(Client *client, const char *text, size_t len);

#endif
