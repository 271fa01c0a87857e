/*
 * socket.h
 *		Reading and writing a socket that may speak TLS.
 */
#ifndef SOCKET_H
#define SOCKET_H

#include "gateway.h"

#include <openssl/ssl.h>
#include <sys/types.h>

typedef struct Socket
{
	int			fd;				/* does not block */
	SSL		   *ssl;			/* NULL: plain */
	bool		read_wants_write;	/* TLS has to send before it can read */
	bool		write_wants_read;	/* and the other way round */
} Socket;

#define SOCKET_AGAIN	(-1)
#define SOCKET_FAILED	(-2)

/*
 * Bytes read, 0 at the end, SOCKET_AGAIN or SOCKET_FAILED.  Until SOCKET_AGAIN
 * there may be more with no event to come: TLS keeps decrypted bytes.
 */
extern ssize_t socket_read(Socket *from, char *data, size_t size);

/*
 * Bytes written, SOCKET_AGAIN or SOCKET_FAILED.  After SOCKET_AGAIN the same
 * bytes come first next time; they may lie elsewhere then.
 */
extern ssize_t socket_write(Socket *to, const char *data, size_t len);

/* Ends our side; the other one may go on sending. */
extern void socket_shut(Socket *to);

/* Frees what TLS keeps; the descriptor is the caller's to close. */
extern void socket_free(Socket *what);

#endif
