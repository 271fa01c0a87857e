/*
 * record_client.c
 *		Runs the operations that bench/record measures and prints what each cost
 *		its backend.
 *
 * record_client ROUNDS TRANSACTIONS BULKS VARIANT...
 *
 * One connection per variant stays open, so that caches are warm.  Every round
 * does every operation on every variant, one after the other, so that whatever
 * else the machine does hits all alike.  A line is: round, variant, operation,
 * CPU of the backend in microseconds and bytes of WAL, both per row.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#define ROWS 100000

typedef struct Variant
{
	const char *name;
	PGconn	   *conn;
	long		inserted;		/* rows beyond the first 100,000 */
	long		deleted;
	long		updated;
} Variant;

typedef struct Reading
{
	double		cpu;
	double		wal;
} Reading;

static void
fail(PGconn *conn)
{
	fprintf(stderr, "record_client: %s", PQerrorMessage(conn));
	exit(1);
}

static void
run(PGconn *conn, const char *sql)
{
	PGresult   *result = PQexec(conn, sql);

	if (PQresultStatus(result) != PGRES_COMMAND_OK &&
		PQresultStatus(result) != PGRES_TUPLES_OK)
		fail(conn);
	PQclear(result);
}

static Reading
read_meters(PGconn *conn)
{
	Reading		reading;
	PGresult   *result = PQexec(conn,
								"SELECT bench.cpu(), pg_current_wal_insert_lsn() - '0/0'");

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		fail(conn);
	reading.cpu = atof(PQgetvalue(result, 0, 0));
	reading.wal = atof(PQgetvalue(result, 0, 1));
	PQclear(result);
	return reading;
}

/* A prepared statement of one or two bigint parameters, by itself committed. */
static void
execute(PGconn *conn, const char *name, long a, long b, int parameters)
{
	char		text[2][24];
	const char *values[2] = {text[0], text[1]};
	PGresult   *result;

	snprintf(text[0], sizeof(text[0]), "%ld", a);
	snprintf(text[1], sizeof(text[1]), "%ld", b);
	result = PQexecPrepared(conn, name, parameters, values, NULL, NULL, 0);
	if (PQresultStatus(result) != PGRES_COMMAND_OK ||
		strcmp(PQcmdTuples(result), "1") != 0)
		fail(conn);
	PQclear(result);
}

static void
prepare(PGconn *conn, const char *name, const char *variant, const char *format)
{
	char		sql[1000];
	PGresult   *result;

	snprintf(sql, sizeof(sql), format, variant);
	result = PQprepare(conn, name, sql, 0, NULL);
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		fail(conn);
	PQclear(result);
}

static void
open_variant(Variant *variant)
{
	const char *name = variant->name;
	char		sql[1000];

	variant->conn = PQconnectdb("");
	if (PQstatus(variant->conn) != CONNECTION_OK)
		fail(variant->conn);
	snprintf(sql, sizeof(sql), "SELECT bench.begin_session('%s')", name);
	run(variant->conn, sql);
	prepare(variant->conn, "insert", name,
			"INSERT INTO %s.memberships VALUES ($1, 'org_' || $1::bigint % 100,"
			" 'user_' || $1, 'member', 'active')");
	prepare(variant->conn, "update", name,
			"UPDATE %s.memberships SET role ="
			" CASE role WHEN 'admin' THEN 'member' ELSE 'admin' END WHERE id = $1");
	prepare(variant->conn, "no interest", name,
			"UPDATE %s.memberships SET last_seen_at = now() WHERE id = $1");
	prepare(variant->conn, "delete", name,
			"DELETE FROM %s.memberships WHERE id = $1");
}

static void
do_one(Variant *variant, const char *operation)
{
	if (strcmp(operation, "insert") == 0)
		execute(variant->conn, operation, ROWS + ++variant->inserted, 0, 1);
	else if (strcmp(operation, "delete") == 0)
		execute(variant->conn, operation, ROWS + ++variant->deleted, 0, 1);
	else
		execute(variant->conn, operation, 1 + ++variant->updated * 7919 % ROWS, 0, 1);
}

static void
measure(int round, Variant *variant, const char *operation, int count)
{
	Reading		before;
	Reading		after;
	char		sql[1000];

	before = read_meters(variant->conn);
	if (strcmp(operation, "bulk") == 0)
	{
		snprintf(sql, sizeof(sql), "UPDATE %s.memberships SET role ="
				 " CASE role WHEN 'admin' THEN 'member' ELSE 'admin' END"
				 " WHERE id <= %d", variant->name, ROWS);
		run(variant->conn, sql);
		count = ROWS;
	}
	else
		for (int i = 0; i < count; i++)
			do_one(variant, operation);
	after = read_meters(variant->conn);

	/* The first round fills caches. */
	if (round > 0)
		printf("%d\t%s\t%s\t%.3f\t%.1f\n", round, variant->name, operation,
			   (after.cpu - before.cpu) / count, (after.wal - before.wal) / count);
	if (strcmp(operation, "bulk") == 0)
	{
		snprintf(sql, sizeof(sql), "VACUUM %s.memberships", variant->name);
		run(variant->conn, sql);
	}
}

int
main(int argc, char **argv)
{
	int			rounds;
	int			transactions;
	int			bulks;
	int			nvariants = argc - 4;
	Variant    *variants;
	static const char *const singles[] = {"insert", "update", "no interest", "delete"};

	if (argc < 5)
	{
		fprintf(stderr, "usage: record_client ROUNDS TRANSACTIONS BULKS VARIANT...\n");
		return 2;
	}
	rounds = atoi(argv[1]);
	transactions = atoi(argv[2]);
	bulks = atoi(argv[3]);
	variants = calloc(nvariants, sizeof(Variant));
	for (int v = 0; v < nvariants; v++)
	{
		variants[v].name = argv[4 + v];
		open_variant(&variants[v]);
	}

	for (int round = 0; round <= rounds; round++)
		for (int o = 0; o < 4; o++)
			for (int v = 0; v < nvariants; v++)
				measure(round, &variants[v], singles[o],
						round == 0 ? transactions / 4 : transactions);

	/*
	 * Bulks in sessions of their own: PL/pgSQL keeps the plan that it made for
	 * a transition table of one row, and joins 100,000 by nested loops.
	 */
	for (int v = 0; v < nvariants; v++)
	{
		PQfinish(variants[v].conn);
		open_variant(&variants[v]);
	}
	for (int round = 1; round <= bulks; round++)
		for (int v = 0; v < nvariants; v++)
			measure(round, &variants[v], "bulk", 0);

	for (int v = 0; v < nvariants; v++)
		PQfinish(variants[v].conn);
	free(variants);
	return 0;
}
