/*
 * reader.h
 *		The read database: how far behind it is, and what may be asked of it.
 */
#ifndef READER_H
#define READER_H

#include "database.h"

/* Nothing happens where there is no conninfo. */
extern void reader_open(const char *conninfo, int connections);

/* Can something be asked of it that need not be of this very moment? */
extern bool reader_is_ready(void);

/*
 * Whoever has written something sees it when he reads: key is what he is known by
 * (his token).  Call wrote when the answer comes; may_serve tells whether the reader
 * has everything that he wrote.
 */
extern void reader_wrote(const char *key);
extern bool reader_may_serve(const char *key);

/* Seconds that it is behind; below 0: it is not known. */
extern double reader_lag(void);

/* For /healthz: ok, behind, away; NULL: there is none. */
extern const char *reader_state(void);

#endif
