// SPDX-License-Identifier: MIT
/*
 * A program of known CPU time: burn MILLISECONDS [PERCENT]
 *
 * Keeps a CPU busy until this process has used so much since it was made, which includes a shell
 * that it took the place of. With PERCENT it is another time each time, evenly drawn from so much
 * below to so much above.
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

static double own_cpu_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) / 1e3 : 0;
	double part = argc > 2 ? atof(argv[2]) / 100 : 0;
	uint32_t random;

	if (seconds <= 0 || getrandom(&random, sizeof(random), 0) != (ssize_t) sizeof(random))
		return 2;
	seconds *= 1 + part * (2 * ((double) random / UINT32_MAX) - 1);
	while (own_cpu_s() < seconds)
		;
	return 0;
}
