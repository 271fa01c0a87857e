/*
 * base/json_print.c
 *		JSON's text, in pieces: nothing of the size of the whole is made.
 *
 * The server prints a jsonb value into one buffer, which ends at 1 GB, and a
 * string of control characters takes six times its size there.  Digests and
 * messages are made of stored events, and an event that can't be printed would
 * stop whoever comes to it, for all organizations.
 */
#include "activity.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "base/json_print.h"

typedef struct Printer
{
	ActJsonSink sink;
	void	   *state;
	int			used;
	char		piece[ACT_JSON_PIECE];
} Printer;

static void begin(Printer *printer, ActJsonSink sink, void *state);
static void end(Printer *printer);
static void put(Printer *printer, const char *bytes, int len);
static void put_string(Printer *printer, const char *bytes, int len);
static void put_scalar(Printer *printer, const JsonbValue *value);
static int	escape(unsigned char c, char *out);

void
act_json_print(Jsonb *json, bool spaced, ActJsonSink sink, void *state)
{
	Printer		printer;
	JsonbIterator *it = JsonbIteratorInit(&json->root);
	JsonbIteratorToken token;
	JsonbValue	value;
	const char *comma = spaced ? ", " : ",";
	const char *colon = spaced ? ": " : ":";
	bool		first = true;
	bool		raw_scalar = false;

	begin(&printer, sink, state);
	while ((token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
	{
		bool		is_item = token == WJB_KEY || token == WJB_ELEM ||
			token == WJB_BEGIN_ARRAY || token == WJB_BEGIN_OBJECT;

		CHECK_FOR_INTERRUPTS();
		if (is_item && !first)
			put(&printer, comma, strlen(comma));
		first = false;
		switch (token)
		{
			case WJB_BEGIN_ARRAY:
				raw_scalar = value.val.array.rawScalar;
				if (!raw_scalar)
					put(&printer, "[", 1);
				first = true;
				break;
			case WJB_BEGIN_OBJECT:
				put(&printer, "{", 1);
				first = true;
				break;
			case WJB_KEY:
				put_string(&printer, value.val.string.val, value.val.string.len);
				put(&printer, colon, strlen(colon));
				/* What follows is this key's value. */
				first = true;
				break;
			case WJB_VALUE:
			case WJB_ELEM:
				put_scalar(&printer, &value);
				break;
			case WJB_END_ARRAY:
				if (!raw_scalar)
					put(&printer, "]", 1);
				break;
			case WJB_END_OBJECT:
				put(&printer, "}", 1);
				break;
			default:
				elog(ERROR, "unknown jsonb iterator token %d", token);
		}
	}
	end(&printer);
}

void
act_json_print_string(const char *bytes, int len, ActJsonSink sink, void *state)
{
	Printer		printer;

	begin(&printer, sink, state);
	put_string(&printer, bytes, len);
	end(&printer);
}

void
act_json_append(void *stringinfo, const char *bytes, int len)
{
	appendBinaryStringInfo(stringinfo, bytes, len);
}

static void
begin(Printer *printer, ActJsonSink sink, void *state)
{
	printer->sink = sink;
	printer->state = state;
	printer->used = 0;
}

static void
end(Printer *printer)
{
	if (printer->used > 0)
		printer->sink(printer->state, printer->piece, printer->used);
	printer->used = 0;
}

static void
put(Printer *printer, const char *bytes, int len)
{
	while (len > 0)
	{
		int			now = Min(len, ACT_JSON_PIECE - printer->used);

		memcpy(printer->piece + printer->used, bytes, now);
		printer->used += now;
		bytes += now;
		len -= now;
		if (printer->used == ACT_JSON_PIECE)
			end(printer);
	}
}

/* Runs of plain bytes as they are: a byte of a longer character is never escaped. */
static void
put_string(Printer *printer, const char *bytes, int len)
{
	int			done = 0;

	put(printer, "\"", 1);
	for (int i = 0; i < len; i++)
	{
		unsigned char c = (unsigned char) bytes[i];
		char		escaped[8];

		if (likely(c >= ' ' && c != '"' && c != '\\'))
			continue;
		put(printer, bytes + done, i - done);
		put(printer, escaped, escape(c, escaped));
		done = i + 1;
	}
	put(printer, bytes + done, len - done);
	put(printer, "\"", 1);
}

/* As escape_json() of the server has it. */
static int
escape(unsigned char c, char *out)
{
	static const char plain[] = "\b\f\n\r\t\"\\";
	static const char letters[] = "bfnrt\"\\";
	const char *at = c == '\0' ? NULL : strchr(plain, c);

	if (at == NULL)
		return snprintf(out, 8, "\\u%04x", c);
	out[0] = '\\';
	out[1] = letters[at - plain];
	return 2;
}

static void
put_scalar(Printer *printer, const JsonbValue *value)
{
	char	   *number;

	switch (value->type)
	{
		case jbvNull:
			put(printer, "null", 4);
			break;
		case jbvBool:
			put(printer, value->val.boolean ? "true" : "false",
				value->val.boolean ? 4 : 5);
			break;
		case jbvNumeric:
			number = DatumGetCString(DirectFunctionCall1(numeric_out,
														 NumericGetDatum(value->val.numeric)));
			put(printer, number, strlen(number));
			pfree(number);
			break;
		case jbvString:
			put_string(printer, value->val.string.val, value->val.string.len);
			break;
		default:
			elog(ERROR, "unknown jsonb scalar type %d", value->type);
	}
}
