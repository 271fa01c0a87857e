/*
 * utf8.c
 *		Whether bytes are UTF-8, piece by piece.
 */
#include "utf8.h"

static bool
begin(Utf8 *state, uint8_t c)
{
	state->low = 0x80;
	state->high = 0xbf;
	if (c < 0x80)
		return true;
	if (c < 0xc2 || c > 0xf4)
		return false;
	state->left = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
	if (c == 0xe0)
		state->low = 0xa0;		/* shorter forms are refused */
	else if (c == 0xed)
		state->high = 0x9f;		/* surrogates */
	else if (c == 0xf0)
		state->low = 0x90;
	else if (c == 0xf4)
		state->high = 0x8f;		/* beyond U+10FFFF */
	return true;
}

static bool
take(Utf8 *state, uint8_t c)
{
	if (state->left == 0)
		return begin(state, c);
	if (c < state->low || c > state->high)
		return false;
	state->left--;
	state->low = 0x80;
	state->high = 0xbf;
	return true;
}

bool
utf8_check(Utf8 *state, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!take(state, data[i]))
			return false;
	return true;
}

bool
utf8_is_whole(const Utf8 *state)
{
	return state->left == 0;
}

void
utf8_append_clean(Buffer *out, const char *data, size_t len)
{
	size_t		start = 0;		/* of the present character */
	Utf8		state = {0};

	for (size_t i = 0; i < len; i++)
	{
		bool		good = data[i] != '\0' && take(&state, data[i]);

		if (good && state.left > 0)
			continue;
		if (good)
			buffer_append(out, data + start, i + 1 - start);
		else
		{
			buffer_text(out, "\xef\xbf\xbd");
			/* The byte that broke a character may begin another one. */
			if (i > start)
				i--;
			memset(&state, 0, sizeof(state));
		}
		start = i + 1;
	}
	if (start < len)
		buffer_text(out, "\xef\xbf\xbd");
}
