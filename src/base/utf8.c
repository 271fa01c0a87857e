/*
 * base/utf8.c
 *		Text that goes to the outside is UTF-8, whatever is stored.
 */
#include "activity.h"

#include "mb/pg_wchar.h"

#include "base/utf8.h"

void
act_utf8_mend(StringInfo text, int from)
{
	StringInfoData out;
	const unsigned char *at = (unsigned char *) text->data + from;
	const unsigned char *end = (unsigned char *) text->data + text->len;

	if (GetDatabaseEncoding() != PG_SQL_ASCII ||
		pg_verify_mbstr(PG_UTF8, (const char *) at, end - at, true))
		return;
	initStringInfo(&out);
	while (at < end)
	{
		int			len = pg_utf_mblen(at);

		if (len <= end - at && pg_utf8_islegal(at, len))
			appendBinaryStringInfo(&out, (const char *) at, len);
		else
		{
			appendStringInfoString(&out, "\xef\xbf\xbd");
			len = 1;
		}
		at += len;
	}
	text->len = from;
	text->data[from] = '\0';
	appendBinaryStringInfo(text, out.data, out.len);
	pfree(out.data);
}
