/*
 * log.h
 *		Lines of key=value on standard error.
 */
#ifndef LOG_H
#define LOG_H

#include "gateway.h"

typedef enum LogLevel
{
	LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR
} LogLevel;

extern LogLevel log_level;		/* what is below it is not written */

/* A level's name, or -1. */
extern int	log_level_of(const char *name);

/*
 * Writes a line: the time, the level, and key=value pairs as the format makes
 * them.  Neither secrets nor bodies are ever given to it.
 */
extern void log_line(LogLevel level, const char *format,...)
			__attribute__((format(printf, 2, 3)));

/*
 * The text in quotes with what would break the line escaped, at most 300 bytes of it; good
 * for the next four calls.
 */
extern const char *log_quote(const char *text);

#endif
