/*
 * peer.c
 *		A client's connection: its socket, what waits to be sent, its end.
 *
 * A descriptor has one watch, which is armed for just what can be served: WRITE
 * while something waits, READ while input is wanted and nothing waits.  So a client
 * that sends and does not read holds up itself.
 */
#include "peer.h"

#include "listener.h"
#include "metrics.h"
#include "option.h"
#include "tls.h"

#include <unistd.h>

/* Reads of one peer in a turn, so that it does not hold up the others. */
#define READS_MOST 4

/* Bytes that are gathered before they are sent. */
#define GATHER_SIZE 8192

/* What waits for one peer at most; a protocol that writes more is ended. */
#define OUT_MOST (16 * 1024 * 1024)

#define LINGER_TIME 2000

static Peer *peers = NULL;
static size_t count = 0;
static Peer *corked = NULL;
static int	corks = 0;			/* it may be corked within being corked */
static char gathered[GATHER_SIZE];
static size_t gathered_len = 0;

static void serve(void *arg, int events);
static void arm(Peer *peer);
static void read_input(Peer *peer);
static void flush(Peer *peer);
static void send_now(Peer *peer, const char *data, size_t len);
static void end_of_output(Peer *peer);

Peer *
peer_open(int fd, const Address *address, bool tls, const PeerOps *ops, void *owner)
{
	Peer	   *peer = allocate(sizeof(Peer));

	peer->ops = ops;
	peer->owner = owner;
	peer->socket.fd = fd;
	if (tls)
		peer->socket.ssl = tls_accept(fd);
	peer->address = *address;
	peer->opened = peer->progress = loop_now();
	peer->watch = watch_open(fd, serve, peer);
	peer->next = peers;
	if (peers)
		peers->prev = peer;
	peers = peer;
	count++;
	metrics.connections++;
	metrics.connections_total++;
	if (tls && peer->socket.ssl == NULL)
		peer_close(peer);
	else
		peer_read(peer, true);
	return peer;
}

size_t
peers_count(void)
{
	return count;
}

static void
arm(Peer *peer)
{
	int			events = 0;

	if (peer->closed)
		return;
	if (peer->out_len > peer->out_done)
		events |= peer->socket.write_wants_read ? WATCH_READ : WATCH_WRITE;
	else if ((peer->reading || peer->finishing) && !peer->ended)
		events |= WATCH_READ;
	if (peer->socket.read_wants_write)
		events |= WATCH_WRITE;
	watch_set(peer->watch, events);
}

static void
serve(void *arg, int events)
{
	Peer	   *peer = arg;

	if (peer->out_len > peer->out_done)
		flush(peer);
	if (!peer->closed && peer->out_len == peer->out_done)
		read_input(peer);
	arm(peer);
}

static void
read_input(Peer *peer)
{
	static char data[65536];

	for (int i = 0; !peer->closed && !peer->ended &&
		 peer->out_len == peer->out_done &&
		 (peer->reading || peer->finishing); i++)
	{
		ssize_t		len = socket_read(&peer->socket, data, sizeof(data));

		if (len == SOCKET_AGAIN)
			return;
		if (len <= 0)
		{
			peer_close(peer);
			return;
		}
		if (!peer->finishing)
			peer->ops->input(peer, data, len);
		/* Bytes that TLS keeps bring no event: they are read now. */
		if (i >= READS_MOST && !(peer->socket.ssl && SSL_pending(peer->socket.ssl)))
			return;
	}
}

void
peer_read(Peer *peer, bool wanted)
{
	bool		pending = wanted && !peer->reading && peer->socket.ssl &&
		SSL_pending(peer->socket.ssl) > 0;

	peer->reading = wanted;
	arm(peer);
	/* What TLS has kept would wait for an event that doesn't come. */
	if (pending)
		read_input(peer);
}

bool
peer_is_full(const Peer *peer)
{
	return peer->closed || peer->finishing || peer->out_len > peer->out_done;
}

void
peer_cork(Peer *peer)
{
	Assert(corked == NULL || corked == peer);
	corked = peer;
	corks++;
}

static void
send_gathered(Peer *peer)
{
	size_t		len = gathered_len;

	gathered_len = 0;
	if (len > 0)
		send_now(peer, gathered, len);
}

void
peer_uncork(Peer *peer)
{
	Assert(corked == peer);
	send_gathered(peer);
	if (--corks == 0)
		corked = NULL;
	arm(peer);
}

void
peer_write(Peer *peer, const void *data, size_t len)
{
	if (peer->closed || peer->shut)
		return;
	if (corked == peer)
	{
		if (gathered_len + len > GATHER_SIZE)
			send_gathered(peer);
		if (len <= GATHER_SIZE)
		{
			memcpy(gathered + gathered_len, data, len);
			gathered_len += len;
			return;
		}
	}
	send_now(peer, data, len);
	if (corked != peer)
		arm(peer);
}

/* Sends what it can, and keeps the rest. */
static void
send_now(Peer *peer, const char *data, size_t len)
{
	while (len > 0 && !peer->closed && peer->out_len == peer->out_done)
	{
		ssize_t		sent = socket_write(&peer->socket, data, len);

		if (sent == SOCKET_FAILED)
		{
			peer_close(peer);
			return;
		}
		if (sent == SOCKET_AGAIN)
			break;
		metrics.bytes_sent += sent;
		data += sent;
		len -= sent;
	}
	if (len == 0 || peer->closed)
		return;
	if (peer->out_len == peer->out_done)
	{
		peer->progress = loop_now();
		peer->out_len = peer->out_done = 0;
	}
	if (peer->out_len - peer->out_done + len > OUT_MOST)
	{
		peer_close(peer);
		return;
	}
	peer->out = reallocate(peer->out, peer->out_len + len);
	memcpy(peer->out + peer->out_len, data, len);
	peer->out_len += len;
}

static void
flush(Peer *peer)
{
	while (peer->out_done < peer->out_len)
	{
		ssize_t		sent = socket_write(&peer->socket, peer->out + peer->out_done,
										peer->out_len - peer->out_done);

		if (sent == SOCKET_FAILED)
		{
			peer_close(peer);
			return;
		}
		if (sent == SOCKET_AGAIN)
			return;
		metrics.bytes_sent += sent;
		peer->progress = loop_now();
		peer->out_done += sent;
	}
	free(peer->out);
	peer->out = NULL;
	peer->out_len = peer->out_done = 0;
	if (peer->finishing)
		end_of_output(peer);
	else
		peer->ops->drained(peer);
}

static void
end_of_output(Peer *peer)
{
	if (peer->shut)
		return;
	peer->shut = true;
	peer->progress = loop_now();
	socket_shut(&peer->socket);
}

void
peer_finish(Peer *peer)
{
	if (peer->closed || peer->finishing)
		return;
	if (corked == peer)
		send_gathered(peer);
	peer->finishing = true;
	if (peer->out_len == peer->out_done)
		end_of_output(peer);
	arm(peer);
}

/* At the end of the turn. */
static void
free_peer(void *arg)
{
	Peer	   *peer = arg;

	if (peer->ops->release)
		peer->ops->release(peer->owner);
	close(peer->socket.fd);
	free(peer->out);
	free(peer);
}

void
peer_close(Peer *peer)
{
	if (peer->closed)
		return;
	peer->closed = true;
	if (corked == peer)
		gathered_len = 0;
	if (peer->next)
		peer->next->prev = peer->prev;
	if (peer->prev)
		peer->prev->next = peer->next;
	else
		peers = peer->next;
	count--;
	metrics.connections--;
	listener_forget(&peer->address);
	peer->ops->gone(peer);
	socket_free(&peer->socket);
	watch_close(peer->watch, free_peer);
}

static void
tick(Peer *peer)
{
	int64_t		now = loop_now();
	bool		waits = peer->out_len > peer->out_done;

	if (waits && now - peer->progress > options.stall_time * INT64_C(1000))
	{
		metrics.closed_slow++;
		peer_close(peer);
	}
	else if (peer->shut && now - peer->progress > LINGER_TIME)
		peer_close(peer);
	else if (!peer->finishing)
		peer->ops->tick(peer);
}

void
peers_tick(void)
{
	peers_each(tick);
}

/* The visit may close its own peer; the memory of that is valid until the turn ends. */
void
peers_each(void (*visit) (Peer *peer))
{
	Peer	   *next;

	for (Peer *peer = peers; peer; peer = next)
	{
		next = peer->next;
		if (!peer->closed)
			visit(peer);
	}
}
