/*
 * socket.c
 *		Reading and writing a socket that may speak TLS.
 */
#include "socket.h"

#include <errno.h>
#include <openssl/err.h>
#include <sys/socket.h>

/* What SSL_read or SSL_write answered, in our words. */
static ssize_t
explain(Socket *socket, int result, bool reading)
{
	switch (SSL_get_error(socket->ssl, result))
	{
		case SSL_ERROR_WANT_READ:
			if (!reading)
				socket->write_wants_read = true;
			return SOCKET_AGAIN;
		case SSL_ERROR_WANT_WRITE:
			if (reading)
				socket->read_wants_write = true;
			return SOCKET_AGAIN;
		case SSL_ERROR_ZERO_RETURN:
			return reading ? 0 : SOCKET_FAILED;
		default:
			return SOCKET_FAILED;
	}
}

ssize_t
socket_read(Socket *from, char *data, size_t size)
{
	ssize_t		len;

	if (from->ssl)
	{
		int			result;

		from->read_wants_write = false;
		ERR_clear_error();
		result = SSL_read(from->ssl, data, size);
		return result > 0 ? result : explain(from, result, true);
	}
	do
		len = recv(from->fd, data, size, 0);
	while (len < 0 && errno == EINTR);
	if (len >= 0)
		return len;
	return errno == EAGAIN || errno == EWOULDBLOCK ? SOCKET_AGAIN : SOCKET_FAILED;
}

ssize_t
socket_write(Socket *to, const char *data, size_t len)
{
	ssize_t		sent;

	if (to->ssl)
	{
		int			result;

		to->write_wants_read = false;
		ERR_clear_error();
		result = SSL_write(to->ssl, data, len);
		return result > 0 ? result : explain(to, result, false);
	}
	do
		sent = send(to->fd, data, len, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent >= 0)
		return sent;
	return errno == EAGAIN || errno == EWOULDBLOCK ? SOCKET_AGAIN : SOCKET_FAILED;
}

void
socket_shut(Socket *to)
{
	if (to->ssl && SSL_is_init_finished(to->ssl))
	{
		ERR_clear_error();
		(void) SSL_shutdown(to->ssl);
	}
	(void) shutdown(to->fd, SHUT_WR);
}

void
socket_free(Socket *what)
{
	SSL_free(what->ssl);
	what->ssl = NULL;
}
