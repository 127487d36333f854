// SPDX-License-Identifier: MIT
/*
 * A process tree of known CPU time: children N MICROSECONDS MODE
 *
 * Makes N children, one after the other, each of which keeps a CPU busy for so long, and prints the
 * seconds of CPU time that all of them and this process used, as they saw it themselves. MODE is
 * "wait" (for each child), "ignore" (SIGCHLD is ignored: the kernel reaps) or "orphan" (each child
 * is made by one that ends at once).
 */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t own_cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t) ts.tv_sec * 1000000000 + (uint64_t) ts.tv_nsec;
}

static void tell(int fd, uint64_t ns)
{
	if (write(fd, &ns, sizeof(ns)) != (ssize_t) sizeof(ns))
		_exit(1);
}

static void be_child(uint64_t ns, int fd)
{
	uint64_t begun_ns = own_cpu_ns();

	while (own_cpu_ns() - begun_ns < ns)
		;
	tell(fd, own_cpu_ns());
	_exit(0);
}

int main(int argc, char **argv)
{
	long n = argc > 3 ? atol(argv[1]) : 0;
	uint64_t ns = n ? (uint64_t) atol(argv[2]) * 1000 : 0, sum = 0, one;
	bool orphan = n && strcmp(argv[3], "orphan") == 0;
	int fds[2];

	if (n <= 0 || pipe(fds) < 0)
		return 2;
	if (strcmp(argv[3], "ignore") == 0)
		signal(SIGCHLD, SIG_IGN);
	for (long i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return 1;
		if (pid == 0 && orphan && fork() != 0)
			_exit(0);
		if (pid == 0)
			be_child(ns, fds[1]);
		waitpid(pid, NULL, 0);
		if (read(fds[0], &one, sizeof(one)) != (ssize_t) sizeof(one))
			return 1;
		sum += one;
	}
	printf("%.9f\n", (double) (sum + own_cpu_ns()) / 1e9);
	return 0;
}
