/*
 * answer.h
 *		Answers of HTTP.
 */
#ifndef ANSWER_H
#define ANSWER_H

#include "http.h"

/*
 * Each of these answers the request; http is not to be used afterwards.  fields
 * are further header fields, each with CR LF at its end, or NULL.
 */
extern void answer_send(Http *http, int status, const char *type,
						const char *fields, const void *body, size_t len);

/*
 * RFC 9457: an object with message and code, which existing clients show.  code
 * is a word that does not change.
 */
extern void answer_problem(Http *http, int status, const char *code,
						   const char *format,...)
			__attribute__((format(printf, 4, 5)));
extern void answer_problem_with(Http *http, int status, const char *code,
								const char *fields, const char *message);

/*
 * The head alone, of a body that follows piece by piece; len < 0: until the
 * connection ends.  Does not answer yet.
 */
extern void answer_head(Http *http, int status, const char *type,
						const char *fields, int64_t len);

extern const char *answer_reason(int status);

#endif
