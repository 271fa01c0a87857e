/*
 * stream_wake.c
 *		A process that wakes as often as the publisher, and works as long.
 *
 * stream_wake PERIOD CPU
 *
 * Each PERIOD microseconds it spins for CPU microseconds, until it is killed.
 */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

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
	long		period = argc == 3 ? atol(argv[1]) : 0;
	long		cpu = argc == 3 ? atol(argv[2]) : 0;

	if (period <= 0)
		return 2;
	for (;;)
	{
		long		began = now(CLOCK_MONOTONIC);
		long		until = now(CLOCK_PROCESS_CPUTIME_ID) + cpu;
		long		left;

		while (now(CLOCK_PROCESS_CPUTIME_ID) < until)
			;
		left = began + period - now(CLOCK_MONOTONIC);
		if (left > 0)
			usleep((useconds_t) left);
	}
}
