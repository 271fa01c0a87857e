/*
 * database.h
 *		Queries: few connections, a queue before them, answers by callback.
 */
#ifndef DATABASE_H
#define DATABASE_H

#include "gateway.h"

#include <libpq-fe.h>

typedef struct Query Query;

/* What became of a query. */
typedef struct Answer
{
	const PGresult *result;		/* NULL unless it succeeded */
	bool		away;			/* the database can't be reached, or went away meanwhile */
	bool		is_reader;		/* it is of the read database */
	char		sqlstate[6];	/* of an error; empty when it is away */
	const char *message;		/* of an error: the database's words */
} Answer;

typedef void (*AnswerFn) (void *arg, const Answer *answer);

typedef enum Priority
{
	PRIORITY_FIRST,				/* what many clients wait for */
	PRIORITY_SECOND,			/* what one client waits for */
	PRIORITY_THIRD				/* and may take long */
} Priority;

extern void database_open(const char *conninfo, int connections);
extern void database_close(void);

/*
 * Asks; the parameters are text, NULL for null, and copied.  fn is called once,
 * never from within this call, unless the query is forgotten.
 */
extern Query *database_ask(Priority priority, const char *sql, int count,
						   const char *const *parameters, AnswerFn fn, void *arg);
extern void query_forget(Query *query);

/*
 * The same of what may take long, which is of the third priority: somebody's, known
 * by this text, who waits for what he has asked before and for no others'.
 */
extern Query *database_ask_for(const char *caller, const char *sql, int count,
							   const char *const *parameters, AnswerFn fn, void *arg);

/*
 * The same of the read database.  Where that is away, is asked to write, or was in
 * the way of what it replays, the primary is asked, if the query may fall back.
 * reader.h says when to.
 */
extern void database_open_reader(const char *conninfo, int connections);
extern Query *database_ask_reader(Priority priority, const char *sql, int count,
								  const char *const *parameters, bool may_fall_back,
								  AnswerFn fn, void *arg);
extern Query *database_ask_reader_for(const char *caller, const char *sql, int count,
									  const char *const *parameters, AnswerFn fn, void *arg);
extern int	database_reader_up_count(void);

/* Is at least one connection up? */
extern bool database_is_up(void);

/* Why the last attempt failed; empty if it did not. */
extern const char *database_problem(void);

/* Queries that wait, and connections that are up. */
extern int	database_queue(void);
extern int	database_up_count(void);

/* Is the queue so long that a new client had better come later? */
extern bool database_is_crowded(void);

/* fn is called each time the database can be reached again. */
extern void database_on_up(void (*fn) (void));

#endif
