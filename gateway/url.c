/*
 * url.c
 *		The target of a request: path and query.
 */
#include "url.h"

#include "utf8.h"

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* NULL: it can't be decoded. */
static char *
decode(const char *text, size_t len, bool plus)
{
	char	   *decoded = allocate(len + 1);
	size_t		out = 0;
	Utf8		state = {0};

	for (size_t i = 0; i < len; i++)
	{
		char		c = text[i];

		if (c == '%')
		{
			int			high = i + 2 < len ? hex(text[i + 1]) : -1;
			int			low = i + 2 < len ? hex(text[i + 2]) : -1;

			if (high < 0 || low < 0 || (high == 0 && low == 0))
				goto failed;
			c = high << 4 | low;
			i += 2;
		}
		else if (c == '+' && plus)
			c = ' ';
		decoded[out++] = c;
	}
	if (utf8_check(&state, decoded, out) && utf8_is_whole(&state))
		return decoded;
failed:
	free(decoded);
	return NULL;
}

bool
url_parse(const char *target, Url *url)
{
	size_t		len = strcspn(target, "?#");
	const char *at = target;
	const char *end = target + len;

	memset(url, 0, sizeof(*url));
	if (*target != '/')
		return false;
	url->path = copy_bytes(target, len);
	url->query = copy_bytes(target + len + (target[len] == '?'),
							target[len] == '?' ? strcspn(target + len + 1, "#") : 0);
	while (at < end)
	{
		size_t		part = 0;

		at++;					/* the slash */
		while (at + part < end && at[part] != '/')
			part++;
		if (url->count == SEGMENTS_MOST)
			return false;
		url->segments[url->count] = decode(at, part, false);
		if (url->segments[url->count] == NULL)
			return false;
		url->count++;
		at += part;
	}
	return true;
}

void
url_free(Url *url)
{
	for (int i = 0; i < url->count; i++)
		free(url->segments[i]);
	free(url->path);
	free(url->query);
}

bool
url_next_parameter(const char **query, char **name, char **value)
{
	while (**query)
	{
		size_t		len = strcspn(*query, "&");
		const char *at = *query;
		const char *equals = memchr(at, '=', len);
		size_t		name_len = equals ? (size_t) (equals - at) : len;

		*query += len + (at[len] == '&');
		*name = decode(at, name_len, true);
		*value = equals ? decode(equals + 1, len - name_len - 1, true) : copy_text("");
		if (*name && *value)
			return true;
		free(*name);
		free(*value);
	}
	return false;
}
