/*
 * websocket.c
 *		Frames of WebSocket (RFC 6455), the side of the server.
 *
 * Clients have little to say, so the bounds are narrow.  Sections named below are the
 * RFC's.
 */
#include "websocket.h"

#include <openssl/evp.h>

#define MESSAGE_MOST 8192
#define FRAMES_MOST 256			/* of a message; empty ones cost, too */
#define CONTROL_MOST 125

#define FIN			0x80
#define RESERVED	0x70
#define MASKED		0x80

static int	begin_frame(WebSocket *socket);
static int	take_payload(WebSocket *socket, const char *data, size_t len);
static int	end_frame(WebSocket *socket, WebSocketFn fn, void *arg, bool *more);
static int	check_close(const char *data, size_t len);

static inline int
opcode_of(const WebSocket *socket)
{
	return socket->head[0] & 0x0f;
}

static inline bool
is_control(const WebSocket *socket)
{
	return (opcode_of(socket) & 0x8) != 0;
}

/* Bytes of the present head, as far as it is known. */
static size_t
head_size(const WebSocket *socket)
{
	int			len;

	if (socket->have < 2)
		return 2;
	len = socket->head[1] & 0x7f;
	return 2 + (len == 126 ? 2 : len == 127 ? 8 : 0) + 4;
}

int
websocket_input(WebSocket *socket, const char *data, size_t len,
				WebSocketFn fn, void *arg)
{
	bool		more = true;
	int			code = 0;

	while (more && code == 0 && (len > 0 || (socket->in_payload && socket->left == 0)))
	{
		if (!socket->in_payload)
		{
			socket->head[socket->have++] = *data++;
			len--;
			/* What is wrong in the first two bytes is so before the rest is there. */
			if (socket->have == 2 || socket->have == head_size(socket))
				code = begin_frame(socket);
		}
		else
		{
			size_t		part = Min(len, socket->left);

			code = take_payload(socket, data, part);
			data += part;
			len -= part;
			if (code == 0 && socket->left == 0)
				code = end_frame(socket, fn, arg, &more);
		}
	}
	return code;
}

static uint64_t
length_of(const WebSocket *socket)
{
	int			len = socket->head[1] & 0x7f;
	int			bytes = len == 126 ? 2 : len == 127 ? 8 : 0;
	uint64_t	value = bytes == 0 ? len : 0;

	for (int i = 0; i < bytes; i++)
		value = value << 8 | socket->head[2 + i];
	return value;
}

/* 5.2, 5.4, 5.5: the first two bytes, then the whole head. */
static int
begin_frame(WebSocket *socket)
{
	int			opcode = opcode_of(socket);
	bool		fin = (socket->head[0] & FIN) != 0;
	int			short_len = socket->head[1] & 0x7f;
	uint64_t	len;

	if ((socket->head[0] & RESERVED) || !(socket->head[1] & MASKED))
		return 1002;
	if (is_control(socket))
	{
		if (opcode > WS_PONG || !fin || short_len > CONTROL_MOST)
			return 1002;
	}
	else if (opcode > WS_BINARY || (opcode == WS_CONTINUATION) != (socket->message != 0))
		return 1002;
	if (socket->have < head_size(socket))
		return 0;

	len = length_of(socket);
	/* The shortest form is the only one, and the highest bit is 0. */
	if ((short_len == 126 && len < 126) || (short_len == 127 && (len < 65536 || len >> 63)))
		return 1002;
	if (!is_control(socket))
	{
		if (len > MESSAGE_MOST || socket->text.len + len > MESSAGE_MOST ||
			++socket->frames > FRAMES_MOST)
			return 1009;
		if (opcode != WS_CONTINUATION)
			socket->message = opcode;
	}
	socket->left = len;
	socket->mask_at = 0;
	socket->in_payload = true;
	return 0;
}

static int
take_payload(WebSocket *socket, const char *data, size_t len)
{
	Buffer	   *into = is_control(socket) ? &socket->control : &socket->text;
	const uint8_t *mask = socket->head + head_size(socket) - 4;
	size_t		start = into->len;

	buffer_append(into, data, len);
	for (size_t i = start; i < into->len; i++)
		into->data[i] ^= mask[socket->mask_at++ & 3];
	socket->left -= len;
	if (!is_control(socket) && socket->message == WS_TEXT &&
		!utf8_check(&socket->utf8, into->data + start, into->len - start))
		return 1007;
	return 0;
}

static int
end_frame(WebSocket *socket, WebSocketFn fn, void *arg, bool *more)
{
	int			opcode = opcode_of(socket);
	bool		fin = (socket->head[0] & FIN) != 0;
	int			code = 0;

	socket->in_payload = false;
	socket->have = 0;
	if (is_control(socket))
	{
		if (opcode == WS_CLOSE)
			code = check_close(socket->control.data, socket->control.len);
		if (code == 0)
			*more = fn(arg, opcode, socket->control.data ? socket->control.data : "",
					   socket->control.len);
		buffer_free(&socket->control);
		return code;
	}
	if (!fin)
		return 0;
	if (socket->message == WS_TEXT && !utf8_is_whole(&socket->utf8))
		return 1007;
	*more = fn(arg, socket->message, socket->text.data ? socket->text.data : "",
			   socket->text.len);
	buffer_free(&socket->text);
	memset(&socket->utf8, 0, sizeof(socket->utf8));
	socket->message = 0;
	socket->frames = 0;
	return 0;
}

/* 5.5.1 and 7.4: no code, or one that may be sent, and a reason in UTF-8. */
static int
check_close(const char *data, size_t len)
{
	Utf8		utf8 = {0};
	int			code;

	if (len == 0)
		return 0;
	if (len == 1)
		return 1002;
	code = (uint8_t) data[0] << 8 | (uint8_t) data[1];
	if (code < 1000 || (code >= 1004 && code <= 1006) || (code > 1014 && code < 3000) ||
		code > 4999)
		return 1002;
	if (!utf8_check(&utf8, data + 2, len - 2) || !utf8_is_whole(&utf8))
		return 1007;
	return 0;
}

void
websocket_free(WebSocket *socket)
{
	buffer_free(&socket->text);
	buffer_free(&socket->control);
}

size_t
websocket_head(char *head, int opcode, size_t len)
{
	head[0] = FIN | opcode;
	if (len < 126)
	{
		head[1] = len;
		return 2;
	}
	if (len < 65536)
	{
		head[1] = 126;
		head[2] = len >> 8;
		head[3] = len;
		return 4;
	}
	head[1] = 127;
	for (int i = 0; i < 8; i++)
		head[2 + i] = (uint64_t) len >> (56 - 8 * i);
	return 10;
}

/* 4.2.2 */
void
websocket_accept(const char *key, char *answer)
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int size;
	char		both[64];
	int			len = snprintf(both, sizeof(both), "%.24s%s", key, guid);

	if (EVP_Digest(both, len, digest, &size, EVP_sha1(), NULL) != 1)
		abort();
	EVP_EncodeBlock((unsigned char *) answer, digest, size);
}
