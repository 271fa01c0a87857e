/*
 * utf8.h
 *		Whether bytes are UTF-8, piece by piece.
 */
#ifndef UTF8_H
#define UTF8_H

#include "buffer.h"

/* Zeroed at the beginning of a text. */
typedef struct Utf8
{
	uint8_t		left;			/* bytes that the present character still has */
	uint8_t		low;			/* bounds of the next of them */
	uint8_t		high;
} Utf8;

/* False as soon as no continuation could make it right (RFC 3629). */
extern bool utf8_check(Utf8 *state, const char *data, size_t len);

/* Does the text end with a whole character? */
extern bool utf8_is_whole(const Utf8 *state);

/* Appends the bytes with U+FFFD for what is not UTF-8, and for NUL. */
extern void utf8_append_clean(Buffer *out, const char *data, size_t len);

#endif
