/*
 * webhook.h
 *		Deliveries: claimed, sent, reported.
 */
#ifndef WEBHOOK_H
#define WEBHOOK_H

#include "buffer.h"
#include "metrics.h"
#include "name.h"

#include <curl/curl.h>

/* One attempt at one delivery. */
typedef struct Delivery
{
	struct Delivery *next;		/* in a queue */
	char	   *id;
	char	   *attempt;		/* a number, as the database wrote it */
	char	   *url;
	char	   *body;
	char	   *host;
	char	   *port;
	struct curl_slist *fields;
	struct curl_slist *resolved;
	NameWait   *wait;
	CURL	   *easy;
	int64_t		began;
	bool		refused;		/* its address was */
	bool		own_failure;
	bool		enough;			/* of the answer's body was read */
	bool		too_much;		/* of header fields came */
	size_t		answer_bytes;
	size_t		header_bytes;
	Buffer		answer;			/* the beginning of the body */
	int			status;			/* 0: no answer */
	Outcome		outcome;
	char	   *error;			/* begins with its class; NULL: none */
	char	   *retry_after;
	double		duration;		/* seconds */
} Delivery;

/* webhook.c */
extern void webhook_open(void);
extern void webhook_look(void); /* perhaps there is something to claim */
extern void webhook_tick(void); /* once a second */
extern void webhook_drain(void);	/* claims no more */
extern int	webhook_in_flight(void);
extern void webhook_settled(Delivery *delivery);	/* it is reported; frees it */

/* delivery.c: begins an attempt, and calls delivery_end in any case. */
extern void delivery_begin(Delivery *delivery);
extern void delivery_end(Delivery *delivery, Outcome outcome, const char *format,...)
			__attribute__((format(printf, 3, 4)));
extern bool delivery_may_reach(const Address *address);

/* transfer.c: the request itself. */
extern void transfers_open(void);
extern void transfer_start(Delivery *delivery);
extern void transfers_close(void);

/* report.c: tells the database. */
extern void report(Delivery *delivery);
extern void reports_tick(void);
extern int	reports_waiting(void);

#endif
