/*
 * http.h
 *		HTTP/1.1 on one connection: a request at a time, and its answer.
 */
#ifndef HTTP_H
#define HTTP_H

#include "buffer.h"
#include "peer.h"

#include <llhttp.h>

typedef enum HttpState
{
	HTTP_READING,				/* between requests, or within one */
	HTTP_HELD,					/* the request is whole, its answer is not out */
	HTTP_SENDING,				/* the answer is made piece by piece */
	HTTP_TAKEN,					/* another protocol has the connection */
	HTTP_OVER					/* the last answer is out */
} HttpState;

typedef struct Http Http;

/* Makes the next piece of an answer by peer_write; false when it was the last. */
typedef bool (*ProduceFn) (Http *http, void *arg);

/*
 * Whoever is given a request answers it, now or later, just once, with what
 * answer.h has, or takes the connection.  The client may go meanwhile: peer is
 * NULL then, and the answer is dropped.
 */
struct Http
{
	Peer	   *peer;			/* NULL: the client has gone */
	HttpState	state;
	llhttp_t	parser;
	int			status;			/* of the error that ended parsing, or 0 */
	const char *problem;		/* in words */
	bool		running;		/* in run() */
	bool		keep;			/* may another request follow? */
	bool		has_begun;		/* a byte of the request has come */
	bool		in_trailer;		/* header fields come after the body */
	bool		upgrade;		/* a WebSocket handshake that is right */
	int			nheaders;
	int64_t		began;			/* the request, or the wait for one */
	size_t		raw;			/* bytes of body and its framing */
	Buffer		target;
	Buffer		headers;		/* name, 0, value, 0, ...; names in lower case */
	size_t		whole;			/* bytes of it that are whole pairs */
	Buffer		body;
	Buffer		rest;			/* what has come and is not parsed */
	bool		waiting;		/* the next piece is not there yet */
	ProduceFn	produce;
	LoopFn		produced;		/* frees the producer's argument */
	void	   *producer;
};

/* Serves a client that has come; takes the descriptor. */
extern Peer *http_serve(int fd, const Address *address, bool tls);

/* The first field of that name, in lower case, or NULL. */
extern const char *http_header(const Http *http, const char *name);

/* All fields of that name with commas between. */
extern void http_header_all(const Http *http, const char *name, Buffer *joined);
extern int	http_header_count(const Http *http, const char *name);

/*
 * Gives the connection to another protocol.  What the client has sent beyond the
 * request is moved to early, to be read first.  The request is gone.
 */
extern Peer *http_take(Http *http, const PeerOps *ops, void *owner, Buffer *early);

/* The answer is out; for answer.c. */
extern void http_answered(Http *http);

/* After a head without an end: calls produce whenever there is room. */
extern void http_produce(Http *http, ProduceFn produce, LoopFn produced, void *arg);

/* From within produce: there is no piece yet; http_more says when there is one. */
extern void http_wait(Http *http);
extern void http_more(Http *http);

/* Connections without a request end now, others after their answer. */
extern void http_drain(void);
extern bool http_is_draining(void);

/* heading.c: whether the head is one that we answer; sets status and problem. */
extern bool heading_check(Http *http);

#endif
