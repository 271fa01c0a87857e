/*
 * buffer.h
 *		Bytes that grow.
 */
#ifndef BUFFER_H
#define BUFFER_H

#include "gateway.h"

/* Zeroed it is empty.  data, if there is any, has a 0 behind its len bytes. */
typedef struct Buffer
{
	char	   *data;
	size_t		len;
	size_t		size;
} Buffer;

extern void buffer_append(Buffer *buffer, const void *data, size_t len);
extern void buffer_text(Buffer *buffer, const char *text);
extern void buffer_printf(Buffer *buffer, const char *format,...)
			__attribute__((format(printf, 2, 3)));

/* Appends text as a JSON string, quotes included; text is valid UTF-8. */
extern void buffer_json(Buffer *buffer, const char *text);

/* Appends text as an element of a PostgreSQL array literal. */
extern void buffer_array_element(Buffer *buffer, const char *text);

/* Drops the first len bytes. */
extern void buffer_drop(Buffer *buffer, size_t len);

extern void buffer_free(Buffer *buffer);

#endif
