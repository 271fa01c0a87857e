/*
 * webhook/retry_after.c
 *		What a Retry-After header asks for.
 *
 * Seconds, or one of the three dates of HTTP (RFC 9110, 5.6.7), whose names of
 * months are English wherever the server runs, so no locale is asked.
 */
#include "activity.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "webhook/webhook.h"

PG_FUNCTION_INFO_V1(act_retry_after);

#define SECONDS_MAX (366 * 24 * 3600)

static bool parse_date(const char *header, struct pg_tm *tm);
static int	month_number(const char *name);

/* activity.retry_after(header text) RETURNS interval */
PGDLLEXPORT Datum
act_retry_after(PG_FUNCTION_ARGS)
{
	char	   *header = text_to_cstring(PG_GETARG_TEXT_PP(0));
	Interval   *wait = palloc0(sizeof(Interval));
	struct pg_tm tm = {0};
	TimestampTz until;
	size_t		len;

	header += strspn(header, " \t");
	len = strlen(header);
	while (len > 0 && (header[len - 1] == ' ' || header[len - 1] == '\t'))
		header[--len] = '\0';

	if (len > 0 && strspn(header, "0123456789") == len)
	{
		long		seconds = len > 9 ? SECONDS_MAX : strtol(header, NULL, 10);

		wait->time = Min(seconds, SECONDS_MAX) * USECS_PER_SEC;
		PG_RETURN_INTERVAL_P(wait);
	}
	if (!parse_date(header, &tm) || tm2timestamp(&tm, 0, NULL, &until) != 0)
		PG_RETURN_NULL();
	wait->time = Max(until - act_webhook_clock(), 0);
	wait->time = Min(wait->time, SECONDS_MAX * USECS_PER_SEC);
	PG_RETURN_INTERVAL_P(wait);
}

static bool
parse_date(const char *header, struct pg_tm *tm)
{
	char		day[10];
	char		month[4];
	int			end = 0;

	if (sscanf(header, "%3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n",
			   day, &tm->tm_mday, month, &tm->tm_year,
			   &tm->tm_hour, &tm->tm_min, &tm->tm_sec, &end) == 7 && end > 0)
		 ;
	else if (sscanf(header, "%9[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT%n",
					day, &tm->tm_mday, month, &tm->tm_year,
					&tm->tm_hour, &tm->tm_min, &tm->tm_sec, &end) == 7 && end > 0)
		tm->tm_year += tm->tm_year < 70 ? 2000 : 1900;
	else if (sscanf(header, "%3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d%n",
					day, month, &tm->tm_mday,
					&tm->tm_hour, &tm->tm_min, &tm->tm_sec, &tm->tm_year, &end) == 7 &&
			 end > 0)
		 ;
	else
		return false;
	tm->tm_mon = month_number(month);
	return header[end] == '\0' && tm->tm_mon > 0 &&
		tm->tm_mday >= 1 && tm->tm_mday <= 31 && tm->tm_year >= 1970 &&
		tm->tm_hour >= 0 && tm->tm_hour <= 23 && tm->tm_min >= 0 &&
		tm->tm_min <= 59 && tm->tm_sec >= 0 && tm->tm_sec <= 60;
}

/* 1 to 12; 0 for no month. */
static int
month_number(const char *name)
{
	static const char *const months[] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun",
		"Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
	};

	for (int i = 0; i < lengthof(months); i++)
		if (strcmp(months[i], name) == 0)
			return i + 1;
	return 0;
}
