/*
 * frame.c
 *		What the server says on a stream, as JSON.
 */
#include "frame.h"

#include <ctype.h>

bool
place_parse(const char *cursor, Place *place)
{
	char	   *end;

	if (!isdigit((unsigned char) cursor[0]) || strlen(cursor) >= PLACE_TEXT_SIZE)
		return false;
	place->epoch = strtoll(cursor, &end, 10);
	if (*end != '.' || !isdigit((unsigned char) end[1]))
		return false;
	place->position = strtoll(end + 1, &end, 10);
	return *end == '\0';
}

const char *
place_text(const Place *place, char *text)
{
	snprintf(text, PLACE_TEXT_SIZE, "%lld.%lld", (long long) place->epoch,
			 (long long) place->position);
	return text;
}

void
frame_hello(Buffer *out, int64_t epoch, int64_t head, int64_t earliest)
{
	buffer_printf(out, "{\"op\":\"hello\",\"epoch\":\"%lld\",\"head\":%lld,\"earliest\":%lld}",
				  (long long) epoch, (long long) head, (long long) earliest);
}

void
frame_event_begin(Buffer *out, const Place *place, int64_t prev)
{
	buffer_printf(out, "{\"op\":\"event\",\"cursor\":\"%lld.%lld\",\"position\":%lld,\"prev\":%lld,\"event\":",
				  (long long) place->epoch, (long long) place->position,
				  (long long) place->position, (long long) prev);
}

void
frame_at(Buffer *out, const char *op, const Place *place)
{
	buffer_printf(out, "{\"op\":\"%s\",\"cursor\":\"%lld.%lld\"}", op,
				  (long long) place->epoch, (long long) place->position);
}

void
frame_reset(Buffer *out, const char *reason, int64_t earliest)
{
	buffer_printf(out, "{\"op\":\"reset\",\"reason\":\"%s\",\"earliest\":%lld}", reason,
				  (long long) earliest);
}
