/*
 * stream_wake.c
 *		A process that wakes as often as the publisher, works and flushes as much.
 *
 * stream_wake PERIOD CPU FILE
 *
 * Each PERIOD microseconds it writes a page of FILE, flushes it, and spins until
 * that has taken CPU microseconds; until it is killed.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define PAGE 8192

static long
now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000L + t.tv_nsec / 1000;
}

int
main(int argc, char **argv)
{
	static char page[PAGE];
	long		period = argc == 4 ? atol(argv[1]) : 0;
	long		cpu = argc == 4 ? atol(argv[2]) : 0;
	int			file = argc == 4 ? open(argv[3], O_CREAT | O_RDWR, 0600) : -1;

	if (period <= 0 || file < 0 || pwrite(file, page, PAGE, 0) != PAGE ||
		fsync(file) != 0)
		return 2;
	for (;;)
	{
		long		began = now(CLOCK_MONOTONIC);
		long		until = now(CLOCK_PROCESS_CPUTIME_ID) + cpu;
		long		left;

		if (pwrite(file, page, PAGE, 0) != PAGE || fdatasync(file) != 0)
			return 1;
		while (now(CLOCK_PROCESS_CPUTIME_ID) < until)
			;
		left = began + period - now(CLOCK_MONOTONIC);
		if (left > 0)
			usleep((useconds_t) left);
	}
}
