/*
 * log.c
 *		Lines of key=value on standard error.
 */
#include "log.h"

#include <stdarg.h>
#include <time.h>
#include <unistd.h>

#define LINE_MOST 2048
#define QUOTE_MOST 300

LogLevel	log_level = LOG_INFO;

static const char *const names[] = {"debug", "info", "warning", "error"};

int
log_level_of(const char *name)
{
	for (int i = 0; i <= LOG_ERROR; i++)
		if (strcmp(name, names[i]) == 0)
			return i;
	return -1;
}

void
log_line(LogLevel level, const char *format,...)
{
	char		line[LINE_MOST];
	struct timespec now;
	struct tm	utc;
	va_list		args;
	size_t		len;

	if (level < log_level)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	len = strftime(line, sizeof(line), "time=%Y-%m-%dT%H:%M:%S", &utc);
	len += snprintf(line + len, sizeof(line) - len, ".%03ldZ level=%s ",
					now.tv_nsec / 1000000, names[level]);
	va_start(args, format);
	len += vsnprintf(line + len, sizeof(line) - len - 1, format, args);
	va_end(args);
	len = Min(len, sizeof(line) - 2);
	line[len++] = '\n';
	/* A log that nobody reads any more is no reason to stop. */
	if (write(STDERR_FILENO, line, len) < 0)
		return;
}

const char *
log_quote(const char *text)
{
	static char quoted[4][QUOTE_MOST * 4 + 3];
	static int	turn = 0;
	char	   *start = quoted[turn++ % 4];
	char	   *out = start;

	*out++ = '"';
	for (int i = 0; i < QUOTE_MOST && text[i]; i++)
	{
		unsigned char c = text[i];

		if (c == '\n' && text[i + 1] == '\0')
			break;				/* libpq's messages end so */
		if (c < 0x20 || c == 0x7f)
			out += sprintf(out, "\\x%02x", c);
		else
		{
			if (c == '"' || c == '\\')
				*out++ = '\\';
			*out++ = c;
		}
	}
	*out++ = '"';
	*out = '\0';
	return start;
}
