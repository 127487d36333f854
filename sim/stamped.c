// SPDX-License-Identifier: MIT
/*
 * A command whose own time is known: stamped SECONDS [CPU_SECONDS]
 *
 * Prints CLOCK_MONOTONIC in nanoseconds at its begin and at its end, on two lines. In between it
 * keeps a CPU busy for CPU_SECONDS, then sleeps until SECONDS are over.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S INT64_C(1000000000)

static int64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t) ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int main(int argc, char **argv)
{
	int64_t begun_ns = clock_ns(CLOCK_MONOTONIC);
	int64_t end_ns, busy_ns;
	struct timespec until;
	char text[64];
	int n;

	if (argc < 2 || argc > 3)
		return 2;
	end_ns = begun_ns + (int64_t) (atof(argv[1]) * 1e9);
	busy_ns = argc > 2 ? (int64_t) (atof(argv[2]) * 1e9) : 0;
	while (clock_ns(CLOCK_PROCESS_CPUTIME_ID) < busy_ns)
		;
	until = (struct timespec) { .tv_sec = end_ns / NS_PER_S, .tv_nsec = end_ns % NS_PER_S };
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0)
		;
	n = snprintf(text, sizeof(text), "%" PRId64 "\n%" PRId64 "\n", begun_ns,
		clock_ns(CLOCK_MONOTONIC));
	return write(STDOUT_FILENO, text, (size_t) n) == n ? 0 : 1;
}
