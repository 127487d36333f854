// SPDX-License-Identifier: MIT
#include "child.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "machine/clock.h"
#include "test.h"
#include "wait.h"

pid_t child_start(void (*work)(void *ctx), void *ctx)
{
	int pipe_fds[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe(pipe_fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pipe_fds[0]);
		close(pipe_fds[1]);
		work(ctx);
		_exit(0);
	}
	/* The pipe is closed by the child's first steps. */
	close(pipe_fds[1]);
	assert_int_equal(read(pipe_fds[0], &byte, 1), 0);
	close(pipe_fds[0]);
	return pid;
}

void child_sleep(void *ctx)
{
	(void) ctx;
	for (;;)
		pause();
}

void child_burn(void *ctx)
{
	(void) ctx;
	for (volatile unsigned i = 0;; i = i + 1)
		;
}

void child_kill(pid_t pid)
{
	siginfo_t info;

	kill(pid, SIGKILL);
	while (waitid(P_PID, (id_t) pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
		;
}

int child_reap(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

void child_end(pid_t pid)
{
	kill(pid, SIGKILL);
	child_reap(pid);
}

static uint64_t cpu_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t) ts.tv_sec * NS_PER_S + (uint64_t) ts.tv_nsec;
}

void child_as_nobody(int (*look)(void))
{
	const int nobody = 65534;
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		bool is_root = geteuid() == 0;
		int line = is_root && (setgid(nobody) < 0 || setuid(nobody) < 0) ? __LINE__
										 : look();

		if (line)
			fprintf(stderr, "as somebody without rights: line %d\n", line);
		_exit(line ? 1 : 0);
	}
	status = child_reap(pid);
	assert_int_equal(status, 0);
}

void burn_cpu(uint64_t ns)
{
	uint64_t until_ns = cpu_ns(CLOCK_THREAD_CPUTIME_ID) + ns;

	while (cpu_ns(CLOCK_THREAD_CPUTIME_ID) < until_ns)
		for (volatile unsigned i = 0; i < 1000; i = i + 1)
			;
}

uint64_t own_cpu_ns(void)
{
	return cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
}

struct cpu_goal {
	clockid_t clock;
	uint64_t ns;
};

static bool has_used(void *ctx)
{
	const struct cpu_goal *goal = ctx;

	return cpu_ns(goal->clock) >= goal->ns;
}

void child_wait_cpu(pid_t pid, uint64_t ns)
{
	struct cpu_goal goal;

	assert_int_equal(clock_getcpuclockid(pid, &goal.clock), 0);
	goal.ns = cpu_ns(goal.clock) + ns;
	assert_true(wait_until(has_used, &goal));
}
