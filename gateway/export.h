/*
 * export.h
 *		Exports, and verifications: lines that are read as the client takes them.
 */
#ifndef EXPORT_H
#define EXPORT_H

#include "http.h"

/*
 * Answers a request whose head the database has made: type and fields, and then the
 * lines that activity.serve_lines() has for the path, the query and the headers.
 */
extern void export_begin(Http *http, const char *caller, const char *type, const char *fields,
						 const char *path, const char *query, const char *headers);

#endif
