/*
 * frame.h
 *		What the server says on a stream, as JSON.
 */
#ifndef FRAME_H
#define FRAME_H

#include "buffer.h"

/* A place in an organization's stream. */
typedef struct Place
{
	int64_t		epoch;
	int64_t		position;
} Place;

#define PLACE_TEXT_SIZE 44

/* False if the text is no cursor. */
extern bool place_parse(const char *cursor, Place *place);
extern const char *place_text(const Place *place, char *text);

extern void frame_hello(Buffer *out, int64_t epoch, int64_t head, int64_t earliest);

/* Up to the event object, and what comes behind it. */
extern void frame_event_begin(Buffer *out, const Place *place, int64_t prev);
#define FRAME_EVENT_END "}"

/* op is live or head. */
extern void frame_at(Buffer *out, const char *op, const Place *place);
extern void frame_reset(Buffer *out, const char *reason, int64_t earliest);

#endif
