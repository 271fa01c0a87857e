/*
 * http/parse.c
 *		What strangers send: targets, times, JSON.
 *
 * Errors are 22021, 22P02 or 22P05, which activity.http() answers with 400.
 */
#include "activity.h"

#include "catalog/pg_type.h"
#include "common/jsonapi.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "base/compat.h"

PG_FUNCTION_INFO_V1(act_http_parameters);
PG_FUNCTION_INFO_V1(act_http_segments);
PG_FUNCTION_INFO_V1(act_http_time);
PG_FUNCTION_INFO_V1(act_json_offset);
PG_FUNCTION_INFO_V1(act_near_word);

static Datum decode(const char *text, int len, bool plus);
static int	hex(char c);

/*
 * http_parameters(query text) RETURNS text[]: name, value, name, value, ...
 */
PGDLLEXPORT Datum
act_http_parameters(PG_FUNCTION_ARGS)
{
	text	   *query = PG_GETARG_TEXT_PP(0);
	const char *at = VARDATA_ANY(query);
	const char *end = at + VARSIZE_ANY_EXHDR(query);
	Datum	   *values = palloc((2 * (end - at) + 2) * sizeof(Datum));
	int			count = 0;

	while (at < end)
	{
		const char *stop = memchr(at, '&', end - at);
		const char *equals;

		if (stop == NULL)
			stop = end;
		equals = memchr(at, '=', stop - at);
		if (stop > at)
		{
			values[count++] = decode(at, (equals ? equals : stop) - at, true);
			values[count++] = equals ? decode(equals + 1, stop - equals - 1, true) :
				CStringGetTextDatum("");
		}
		at = stop + 1;
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(values, count, TEXTOID, -1, false,
										  TYPALIGN_INT));
}

/* http_segments(path text) RETURNS text[]: what stands behind each slash */
PGDLLEXPORT Datum
act_http_segments(PG_FUNCTION_ARGS)
{
	text	   *path = PG_GETARG_TEXT_PP(0);
	const char *at = VARDATA_ANY(path);
	const char *end = at + VARSIZE_ANY_EXHDR(path);
	Datum	   *values = palloc((end - at + 1) * sizeof(Datum));
	int			count = 0;

	while (at < end)
	{
		const char *begin = at + 1;

		at = begin;
		while (at < end && *at != '/')
			at++;
		values[count++] = decode(begin, at - begin, false);
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(values, count, TEXTOID, -1, false,
										  TYPALIGN_INT));
}

/* Percent-encoded UTF-8 as text; a plus is a space in forms only. */
static Datum
decode(const char *text, int len, bool plus)
{
	char	   *decoded = palloc(len + 1);
	int			out = 0;

	for (int i = 0; i < len; i++)
	{
		char		c = text[i];

		if (c == '+' && plus)
			c = ' ';
		else if (c == '%')
		{
			int			high = i + 2 < len ? hex(text[i + 1]) : -1;
			int			low = i + 2 < len ? hex(text[i + 2]) : -1;

			if (high < 0 || low < 0 || (high == 0 && low == 0))
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
						 errmsg("the target is not valid percent-encoding")));
			c = high << 4 | low;
			i += 2;
		}
		decoded[out++] = c;
	}
	decoded[out] = '\0';
	if (!pg_verify_mbstr(PG_UTF8, decoded, out, true))
		ereport(ERROR,
				(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
				 errmsg("the target is not UTF-8")));
	return CStringGetTextDatum(pg_any_to_server(decoded, out, PG_UTF8));
}

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

/* Exactly that many digits, and on. */
static bool
take_number(const char **at, int digits, int *number)
{
	*number = 0;
	for (int i = 0; i < digits; i++, (*at)++)
	{
		if (**at < '0' || **at > '9')
			return false;
		*number = *number * 10 + (**at - '0');
	}
	return true;
}

static bool
take(const char **at, char c)
{
	return **at == c && (*at)++;
}

/* Z or an offset, as seconds to take off. */
static bool
take_zone(const char **at, int *offset)
{
	int			hours,
				minutes = 0;
	char		sign = **at;

	*offset = 0;
	if (take(at, 'Z') || take(at, 'z'))
		return true;
	if (!(take(at, '+') || take(at, '-')) || !take_number(at, 2, &hours))
		return false;
	if (**at != '\0')
	{
		(void) take(at, ':');
		if (!take_number(at, 2, &minutes))
			return false;
	}
	*offset = (hours * 60 + minutes) * 60 * (sign == '-' ? -1 : 1);
	return hours <= 15 && minutes <= 59;
}

/* Behind the date. */
static bool
take_time(const char **at, int64 *time)
{
	int			hour,
				minute,
				second = 0,
				offset,
				digit;
	int64		fraction = 0;

	if (!(take(at, 'T') || take(at, 't') || take(at, ' ')) ||
		!take_number(at, 2, &hour) || !take(at, ':') || !take_number(at, 2, &minute))
		return false;
	if (take(at, ':') && !take_number(at, 2, &second))
		return false;
	if (take(at, '.') || take(at, ','))
	{
		int64		unit = 100000;

		if (!take_number(at, 1, &digit))
			return false;
		do
		{
			fraction += digit * unit;
			unit /= 10;
		} while (**at >= '0' && **at <= '9' && take_number(at, 1, &digit));
	}
	*time += (hour * INT64CONST(3600) + minute * 60 + second) * USECS_PER_SEC + fraction;
	if (!take_zone(at, &offset))
		return false;
	*time -= offset * USECS_PER_SEC;
	return hour <= 23 && minute <= 59 && second <= 59;
}

/*
 * http_time(text) RETURNS timestamptz: a date, which is its midnight UTC, or a
 * time with its offset, as ISO 8601 and RFC 3339 have them; null for the rest.
 * The words and shapes that timestamptz takes besides are nothing for an interface.
 */
PGDLLEXPORT Datum
act_http_time(PG_FUNCTION_ARGS)
{
	const char *at = text_to_cstring(PG_GETARG_TEXT_PP(0));
	int			year,
				month,
				day;
	int64		time;

	if (!take_number(&at, 4, &year) || !take(&at, '-') ||
		!take_number(&at, 2, &month) || !take(&at, '-') ||
		!take_number(&at, 2, &day) ||
		year < 1 || month < 1 || month > 12 || day < 1 ||
		day > day_tab[isleap(year)][month - 1])
		PG_RETURN_NULL();
	time = (date2j(year, month, day) - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY;
	if (*at != '\0' && !take_time(&at, &time))
		PG_RETURN_NULL();
	if (*at != '\0')
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(time);
}

/* json_offset(text) RETURNS integer: the byte where it stops being JSON; null if it does not */
PGDLLEXPORT Datum
act_json_offset(PG_FUNCTION_ARGS)
{
	char	   *json = text_to_cstring(PG_GETARG_TEXT_PP(0));
	JsonLexContext *lex = act_compat_json_lex(json, strlen(json));

	if (pg_parse_json(lex, &nullSemAction) == JSON_SUCCESS)
		PG_RETURN_NULL();
	/* No token: it ends too early. */
	PG_RETURN_INT32(lex->token_start ? (int) (lex->token_start - json) : (int) strlen(json));
}

/* near_word(word text, words text[]) RETURNS text: null if none is near */
PGDLLEXPORT Datum
act_near_word(PG_FUNCTION_ARGS)
{
	char	   *word = text_to_cstring(PG_GETARG_TEXT_PP(0));
	int			len = strlen(word);
	int			best = Max(1, Min(3, len / 3));
	text	   *nearest = NULL;
	Datum	   *words;
	int			count;

	if (len > 100)
		PG_RETURN_NULL();
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT,
					  &words, NULL, &count);
	for (int i = 0; i < count; i++)
	{
		text	   *other = DatumGetTextPP(words[i]);
		int			distance = varstr_levenshtein_less_equal(word, len, VARDATA_ANY(other),
															 VARSIZE_ANY_EXHDR(other),
															 1, 1, 1, best, true);

		if (distance <= best)
		{
			nearest = other;
			best = distance - 1;
		}
	}
	if (nearest == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(nearest);
}
