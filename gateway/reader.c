/*
 * reader.c
 *		The read database: how far behind it is, and what may be asked of it.
 *
 * A standby does not know how far behind it is: one that is cut off takes itself for
 * the newest.  So the primary's place in the log is noted each second with the time,
 * and the standby has what it has replayed: it is as old as the newest note at or
 * before that.  While the primary is away nobody can be ahead of the last note.
 *
 * What is no standby, or one of another cluster, is not asked: after a failover it
 * may be the primary, which --database finds by itself.
 */
#include "reader.h"

#include "log.h"
#include "loop.h"
#include "metrics.h"
#include "option.h"

#define NOTES 128
#define ASK_TIME 1000
#define WRITERS 4096			/* a power of 2; who shares a place reads from the primary, too */

/* Where the primary was, and when it said so at the latest. */
typedef struct Note
{
	uint64_t	place;
	int64_t		at;
} Note;

static bool wanted = false;
static Timer *timer;
static Note notes[NOTES];		/* the newest is at (nnotes - 1) % NOTES */
static int64_t nnotes = 0;
static char primary_system[32];
static uint64_t replayed = 0;
static int64_t replayed_at = -1;	/* when it was asked last, and answered */
static bool is_standby = false;
static bool asking_primary = false;
static bool asking_reader = false;
static int64_t asked_primary;
static int64_t wrote[WRITERS];
static bool was_ready = false;

static void ask(void *arg);
static void primary_answered(void *arg, const Answer *answer);
static void reader_answered(void *arg, const Answer *answer);

void
reader_open(const char *conninfo, int connections)
{
	if (conninfo == NULL)
		return;
	wanted = true;
	database_open_reader(conninfo, connections);
	timer = timer_open(ask, NULL);
	timer_repeat(timer, ASK_TIME);
}

static void
ask(void *arg)
{
	bool		ready = reader_is_ready();

	if (ready != was_ready)
		log_line(ready ? LOG_INFO : LOG_WARNING, "event=read_database state=%s lag=%.1f",
				 reader_state(), reader_lag());
	was_ready = ready;
	if (!asking_primary && database_is_up())
	{
		asking_primary = true;
		asked_primary = loop_now();
		(void) database_ask(PRIORITY_FIRST,
							"SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_lsn() - '0/0' END, system_identifier"
							" FROM pg_control_system()", 0, NULL, primary_answered, NULL);
	}
	if (!asking_reader && database_reader_up_count() > 0)
	{
		asking_reader = true;
		(void) database_ask_reader(PRIORITY_FIRST,
								   "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() - '0/0' END, system_identifier"
								   " FROM pg_control_system()", 0, NULL, false, reader_answered, NULL);
	}
}

/* What was committed before it was asked is before its answer. */
static void
primary_answered(void *arg, const Answer *answer)
{
	Note	   *note = &notes[nnotes % NOTES];

	asking_primary = false;
	if (answer->result == NULL || PQntuples(answer->result) != 1 || PQgetisnull(answer->result, 0, 0))
		return;
	note->place = strtoull(PQgetvalue(answer->result, 0, 0), NULL, 10);
	note->at = asked_primary;
	/* Another primary begins anew: its log may have parted from the one before. */
	if (nnotes > 0 && note->place < notes[(nnotes - 1) % NOTES].place)
	{
		notes[0] = *note;
		nnotes = 0;
	}
	nnotes++;
	snprintf(primary_system, sizeof(primary_system), "%s", PQgetvalue(answer->result, 0, 1));
}

static void
reader_answered(void *arg, const Answer *answer)
{
	asking_reader = false;
	is_standby = answer->result && PQntuples(answer->result) == 1 &&
		!PQgetisnull(answer->result, 0, 0) &&
		strcmp(PQgetvalue(answer->result, 0, 1), primary_system) == 0;
	if (!is_standby)
		return;
	replayed = strtoull(PQgetvalue(answer->result, 0, 0), NULL, 10);
	replayed_at = loop_now();
}

/* As of when it has everything; below 0: not known. */
static int64_t
whole_since(void)
{
	if (replayed_at < 0)
		return -1;
	for (int64_t i = nnotes - 1; i >= 0 && i > nnotes - 1 - NOTES; i--)
		if (notes[i % NOTES].place <= replayed)
			return notes[i % NOTES].at;
	return -1;
}

double
reader_lag(void)
{
	int64_t		since = whole_since();

	if (since < 0)
		return -1;
	/* It has all that is known. */
	if (since == notes[(nnotes - 1) % NOTES].at)
		return 0;
	return (loop_now() - since) / 1000.0;
}

bool
reader_is_ready(void)
{
	double		lag = reader_lag();

	return wanted && is_standby && database_reader_up_count() > 0 &&
		loop_now() - replayed_at < 5 * ASK_TIME && lag >= 0 && lag <= options.read_lag;
}

const char *
reader_state(void)
{
	if (!wanted)
		return NULL;
	return reader_is_ready() ? "ok" :
		database_reader_up_count() == 0 ? "away" : is_standby ? "behind" : "no standby";
}

static int64_t *
place_of(const char *key)
{
	uint32_t	hash = 2166136261u;

	for (const char *c = key; *c; c++)
		hash = (hash ^ (unsigned char) *c) * 16777619u;
	return &wrote[hash & (WRITERS - 1)];
}

void
reader_wrote(const char *key)
{
	if (wanted)
		*place_of(key) = loop_now() + 1;
}

bool
reader_may_serve(const char *key)
{
	return reader_is_ready() && *place_of(key) <= whole_since();
}
