/*
 * subscribe.c
 *		What a client says on a WebSocket: once, what it wants.
 */
#include "client.h"

#include <jansson.h>

#define DEPTH_MOST 8
#define TYPES_MOST 200

static bool read_types(Client *client, json_t *types, Buffer *words);

/* json_loads has a limit of depth that is too far for a message of this size. */
static bool
is_deep(const char *text, size_t len)
{
	int			depth = 0;

	for (size_t i = 0; i < len; i++)
	{
		if (text[i] == '[' || text[i] == '{')
			depth++;
		if (depth > DEPTH_MOST)
			return true;
	}
	return false;
}

static void
refuse(Client *client, json_t *message, const char *reason)
{
	json_decref(message);
	client_end(client, 4000, reason);
}

void
subscribe_message(Client *client, const char *text, size_t len)
{
	json_t	   *message = is_deep(text, len) ? NULL :
		json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	json_t	   *cursor = json_object_get(message, "cursor");
	json_t	   *types = json_object_get(message, "types");
	const char *op = json_string_value(json_object_get(message, "op"));
	Buffer		words = {0};

	if (!json_is_object(message))
		refuse(client, message, "a frame is a JSON object");
	else if (op == NULL || strcmp(op, "subscribe") != 0)
		refuse(client, message, "the only op is subscribe");
	else if (client->state != CLIENT_OPEN)
		refuse(client, message, "subscribe once");
	else if (cursor && !json_is_null(cursor) && !json_is_string(cursor))
		refuse(client, message, "the cursor is a string");
	else if (!read_types(client, types, &words))
		refuse(client, message, "types are an array of strings");
	else
	{
		const char *from = json_string_value(cursor);

		client_subscribe(client, from && strcmp(from, "now") != 0 ? from : NULL,
						 words.len > 0 ? words.data : NULL);
		json_decref(message);
	}
	buffer_free(&words);
}

/* No types, or none of them, is everything. */
static bool
read_types(Client *client, json_t *types, Buffer *words)
{
	size_t		count = json_array_size(types);

	if (types == NULL || json_is_null(types))
		return true;
	if (!json_is_array(types) || count > TYPES_MOST)
		return false;
	for (size_t i = 0; i < count; i++)
	{
		const char *word = json_string_value(json_array_get(types, i));

		if (word == NULL || strlen(word) != json_string_length(json_array_get(types, i)))
			return false;
		buffer_text(words, i > 0 ? "," : "{");
		buffer_array_element(words, word);
	}
	if (count > 0)
		buffer_text(words, "}");
	return true;
}
