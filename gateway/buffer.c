/*
 * buffer.c
 *		Bytes that grow, and the memory of the process.
 *
 * Whoever fills a buffer with what others send has a bound of its own; there is
 * none here.
 */
#include "buffer.h"

#include <stdarg.h>

void *
allocate(size_t size)
{
	void	   *memory = calloc(1, size);

	if (memory == NULL)
	{
		fputs("out of memory\n", stderr);
		abort();
	}
	return memory;
}

void *
reallocate(void *old, size_t size)
{
	void	   *memory = realloc(old, size);

	if (memory == NULL)
	{
		fputs("out of memory\n", stderr);
		abort();
	}
	return memory;
}

char *
copy_text(const char *text)
{
	return copy_bytes(text, strlen(text));
}

char *
copy_bytes(const char *data, size_t len)
{
	char	   *copy = allocate(len + 1);

	if (len > 0)
		memcpy(copy, data, len);
	return copy;
}

static void
reserve(Buffer *buffer, size_t more)
{
	size_t		need = buffer->len + more + 1;

	if (need <= buffer->size)
		return;
	buffer->size = Max(need, buffer->size * 2);
	buffer->data = reallocate(buffer->data, buffer->size);
}

void
buffer_append(Buffer *buffer, const void *data, size_t len)
{
	reserve(buffer, len);
	if (len > 0)
		memcpy(buffer->data + buffer->len, data, len);
	buffer->len += len;
	buffer->data[buffer->len] = '\0';
}

void
buffer_text(Buffer *buffer, const char *text)
{
	buffer_append(buffer, text, strlen(text));
}

void
buffer_printf(Buffer *buffer, const char *format,...)
{
	va_list		args;
	int			len;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	reserve(buffer, len);
	va_start(args, format);
	vsnprintf(buffer->data + buffer->len, len + 1, format, args);
	va_end(args);
	buffer->len += len;
}

void
buffer_json(Buffer *buffer, const char *text)
{
	buffer_append(buffer, "\"", 1);
	for (const unsigned char *c = (const unsigned char *) text; *c; c++)
	{
		if (*c == '"' || *c == '\\')
			buffer_printf(buffer, "\\%c", *c);
		else if (*c < 0x20)
			buffer_printf(buffer, "\\u%04x", *c);
		else
			buffer_append(buffer, c, 1);
	}
	buffer_append(buffer, "\"", 1);
}

void
buffer_array_element(Buffer *buffer, const char *text)
{
	buffer_append(buffer, "\"", 1);
	for (; *text; text++)
	{
		if (*text == '"' || *text == '\\')
			buffer_append(buffer, "\\", 1);
		buffer_append(buffer, text, 1);
	}
	buffer_append(buffer, "\"", 1);
}

void
buffer_drop(Buffer *buffer, size_t len)
{
	Assert(len <= buffer->len);
	if (len == 0)
		return;
	memmove(buffer->data, buffer->data + len, buffer->len - len + 1);
	buffer->len -= len;
}

void
buffer_free(Buffer *buffer)
{
	free(buffer->data);
	memset(buffer, 0, sizeof(*buffer));
}
