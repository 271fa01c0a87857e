/*
 * consumer/statement.h
 *		The statements on the tables of consumers, each planned once in a session.
 */
#ifndef ACT_CONSUMER_STATEMENT_H
#define ACT_CONSUMER_STATEMENT_H

#include "postgres.h"

typedef enum ActConsumerStatement
{
	ACT_CONSUMER_FIND,			/* name, lease: number, organization, types, a
								 * new lease, its end */
	ACT_CONSUMER_SWEEP,			/* consumer, after, until, most: marks */
	ACT_CONSUMER_ADD_MARK,		/* consumer, organization */
	ACT_CONSUMER_LOCK_MARK,		/* consumer, organization: epoch, position, leased */
	ACT_CONSUMER_PARKED,		/* consumer, organization, after: positions */
	ACT_CONSUMER_TAKE_DUE,		/* consumer, organization, lease, most: position */
	ACT_CONSUMER_MOVE_MARK,		/* consumer, organization, epoch, position, … */
	ACT_CONSUMER_LEASE_MARK,	/* …, given, lease, until */
	ACT_CONSUMER_ADD_LEASE,		/* lease, consumer, until, organizations */
	ACT_CONSUMER_MARKS,			/* every consumer's every mark */
	ACT_CONSUMER_STATEMENTS
} ActConsumerStatement;

/*
 * Runs it within SPI_connect() and _finish(); none of the arguments is null.  How many
 * rows it returned or changed; what it returned is in SPI_tuptable until the next one.
 */
extern int	act_consumer_run(ActConsumerStatement which, Datum *arguments);

/* A column of a row of SPI_tuptable. */
extern Datum act_consumer_value(int row, int column, bool *isnull);

/* A lock of pollers for a mark that does not exist; false if somebody has it. */
extern bool act_consumer_try_lock(int32 consumer, int32 organization);

#endif
