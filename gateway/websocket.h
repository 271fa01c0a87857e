/*
 * websocket.h
 *		Frames of WebSocket (RFC 6455), the side of the server.
 */
#ifndef WEBSOCKET_H
#define WEBSOCKET_H

#include "buffer.h"
#include "utf8.h"

#define WS_CONTINUATION	0x0
#define WS_TEXT			0x1
#define WS_BINARY		0x2
#define WS_CLOSE		0x8
#define WS_PING			0x9
#define WS_PONG			0xa

#define WS_HEAD_MOST	10		/* bytes of a head that we send */
#define WS_KEY_SIZE		29		/* of the answer to a key, with its 0 */

/* What has been read of a client's frames.  Zeroed at the beginning. */
typedef struct WebSocket
{
	uint8_t		head[14];		/* of the present frame */
	uint8_t		have;			/* bytes of it */
	uint8_t		message;		/* opcode of the present message, 0: none */
	bool		in_payload;
	Utf8		utf8;			/* of the message */
	uint16_t	frames;			/* of the message */
	uint32_t	mask_at;		/* payload bytes of the frame so far */
	uint64_t	left;			/* payload bytes still to come */
	Buffer		text;			/* of the message */
	Buffer		control;		/* payload of a control frame */
} WebSocket;

/*
 * What the client has sent: a message of WS_TEXT or WS_BINARY, or a control frame.
 * False: nothing more is to be read.
 */
typedef bool (*WebSocketFn) (void *arg, int opcode, const char *data, size_t len);

/*
 * Reads bytes.  0, or the code with which the connection has to be closed:
 * 1002 for what is no frame of a client, 1007 for text that is not UTF-8, 1009 for a
 * message that is longer than anybody has reason to send.
 */
extern int	websocket_input(WebSocket *socket, const char *data, size_t len,
							WebSocketFn fn, void *arg);

extern void websocket_free(WebSocket *socket);

/* Writes the head of a frame that is a whole message; returns its length. */
extern size_t websocket_head(char *head, int opcode, size_t len);

/* Sec-WebSocket-Accept for a key. */
extern void websocket_accept(const char *key, char *answer);

#endif
