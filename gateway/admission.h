/*
 * admission.h
 *		Who may listen: the secret is asked about, then the stream begins.
 */
#ifndef ADMISSION_H
#define ADMISSION_H

#include "client.h"
#include "http.h"

typedef struct Admission
{
	Http	   *http;
	char	   *organization;
	uint8_t		digest[DIGEST_SIZE];
	bool		sse;
	bool		says_protocol;	/* the client has offered activity.v1 */
	char	   *cursor;			/* SSE: where to begin; NULL: now */
	char	   *words;			/* SSE: the filter; NULL: everything */
} Admission;

extern void admissions_open(void);

/* Takes the admission, and the request with it. */
extern void admission_ask(Admission *admission);
extern void admission_free(Admission *admission);

extern void member_release(Member *member);

#endif
