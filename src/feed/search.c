/*
 * feed/search.c
 *		Case-insensitive search for a piece of text.
 *
 * A person who types "zoë" means "ZOË" as well, whatever locale the database
 * was made with, so letters are folded by Unicode's tables as the C library
 * has them, one by one: up and down again, which also brings both forms of
 * the Greek sigma together.  Nothing is normalized, and no letter becomes two.
 */
#include "activity.h"

#include <locale.h>
#include <wctype.h>

#include "catalog/pg_collation.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/formatting.h"

#include "base/compat.h"
#include "feed/search.h"

struct ActSearch
{
	StringInfoData wanted;		/* folded */
	StringInfoData scratch;
};

static void fold(const char *bytes, int len, StringInfo folded);
static void fold_utf8(const char *bytes, int len, StringInfo folded);
static bool unicode_locale(locale_t *locale);

ActSearch *
act_search_prepare(const text *wanted)
{
	ActSearch  *search;

	if (VARSIZE_ANY_EXHDR(wanted) == 0)
		return NULL;
	search = palloc(sizeof(ActSearch));
	initStringInfo(&search->wanted);
	initStringInfo(&search->scratch);
	fold(VARDATA_ANY(wanted), VARSIZE_ANY_EXHDR(wanted), &search->wanted);
	return search;
}

bool
act_search_occurs(ActSearch *search, const char *bytes, int len)
{
	const char *at;
	const char *end;

	resetStringInfo(&search->scratch);
	fold(bytes, len, &search->scratch);

	/* UTF-8 needs no care for character borders, other encodings may. */
	at = search->scratch.data;
	end = at + search->scratch.len - search->wanted.len;
	while (at <= end)
	{
		if (memcmp(at, search->wanted.data, search->wanted.len) == 0)
			return true;
		at += pg_mblen(at);
	}
	return false;
}

static void
fold(const char *bytes, int len, StringInfo folded)
{
	if (GetDatabaseEncoding() == PG_UTF8)
		fold_utf8(bytes, len, folded);
	else
	{
		char	   *lower = str_tolower(bytes, len, DEFAULT_COLLATION_OID);

		appendStringInfoString(folded, lower);
		pfree(lower);
	}
}

static void
fold_utf8(const char *bytes, int len, StringInfo folded)
{
	const unsigned char *at = (const unsigned char *) bytes;
	const unsigned char *end = at + len;
	locale_t	locale;
	bool		unicode = unicode_locale(&locale);

	enlargeStringInfo(folded, len);
	while (at < end)
	{
		int			width = pg_utf_mblen(at);
		unsigned char letter[8];
		pg_wchar	code;

		if (width == 1 || at + width > end)
		{
			appendStringInfoChar(folded, pg_ascii_tolower(*at));
			at++;
			continue;
		}
		code = utf8_to_unicode(at);
		if (unicode)
			code = towlower_l(towupper_l(code, locale), locale);
		unicode_to_utf8(code, letter);
		appendBinaryStringInfo(folded, (char *) letter, pg_utf_mblen(letter));
		at += width;
	}
}

/*
 * A locale that knows the letters of Unicode; false where the system has none,
 * and then only ASCII letters are folded.
 */
static bool
unicode_locale(locale_t *locale)
{
	static const char *const names[] = {"C.UTF-8", "C.utf8", "en_US.UTF-8"};
	static locale_t kept = (locale_t) 0;
	static bool tried = false;

	for (int i = 0; !tried && i < lengthof(names); i++)
	{
		kept = newlocale(LC_CTYPE_MASK, names[i], (locale_t) 0);
		if (kept != (locale_t) 0)
			break;
	}
	tried = true;
	*locale = kept;
	return kept != (locale_t) 0;
}
