/*
 * peer.h
 *		A client's connection: its socket, what waits to be sent, its end.
 */
#ifndef PEER_H
#define PEER_H

#include "address.h"
#include "loop.h"
#include "socket.h"

typedef struct Peer Peer;

/* The protocol that is spoken on a connection. */
typedef struct PeerOps
{
	/* Bytes have come; whoever does not want any says peer_read(peer, false). */
	void		(*input) (Peer *peer, const char *data, size_t len);

	/* What waited has been sent. */
	void		(*drained) (Peer *peer);

	/* Once a second. */
	void		(*tick) (Peer *peer);

	/* It is over; the owner lets go of what is its own.  Called once. */
	void		(*gone) (Peer *peer);

	/* At the end of the turn: frees the owner; NULL: gone did. */
	void		(*release) (void *owner);
} PeerOps;

struct Peer
{
	Peer	   *prev;
	Peer	   *next;
	const PeerOps *ops;
	void	   *owner;
	Watch	   *watch;
	Socket		socket;
	char	   *out;			/* what waits to be sent */
	uint32_t	out_len;
	uint32_t	out_done;		/* of it, sent */
	int64_t		progress;		/* when a byte was last sent, while some wait */
	int64_t		opened;
	Address		address;
	bool		reading;
	bool		closed;			/* its memory goes at the end of the turn */
	bool		finishing;		/* close once everything is sent and they have seen it */
	bool		shut;			/* our side has ended */
	bool		ended;			/* their side has */
	bool		over_limit;		/* one connection too many of its address */
};

/* Takes the descriptor. */
extern Peer *peer_open(int fd, const Address *address, bool tls,
					   const PeerOps *ops, void *owner);

/*
 * Sends, or keeps what the socket does not take.  The caller looks at
 * peer_is_full first, unless it is an answer or a control frame.  It may close the
 * peer.
 */
extern void peer_write(Peer *peer, const void *data, size_t len);

/* Between these, writes are gathered into few calls of the system. */
extern void peer_cork(Peer *peer);
extern void peer_uncork(Peer *peer);

/* Does anything wait to be sent?  Then a stream sends nothing more for now. */
extern bool peer_is_full(const Peer *peer);

/* Whether input is wanted. */
extern void peer_read(Peer *peer, bool wanted);

/*
 * Ends it in order: what waits is sent, our side ends, and what still comes is
 * dropped for two seconds, because a close with unread bytes is a reset, which eats what
 * was sent.  The owner is told by gone when it is over, and of nothing else.
 */
extern void peer_finish(Peer *peer);

/* Ends it now.  The memory stays valid until the end of this turn. */
extern void peer_close(Peer *peer);

/* Once a second: deadlines of every peer. */
extern void peers_tick(void);

/* Calls visit for each peer; it may close that one. */
extern void peers_each(void (*visit) (Peer *peer));

extern size_t peers_count(void);

#endif
