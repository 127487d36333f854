// SPDX-License-Identifier: MIT
/* A command, with a control group of its own where that can be had, and without. */
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "machine/clock.h"
#include "target/command.h"
#include "files.h"
#include "wait.h"

#define MS NS_PER_MS

/* A word of a command line, which nobody changes. */
#define WORD(text) ((char[]) { text })

/* Some 100 ms of CPU time in two processes, the second of them below the first. */
#define LOOP "i=0; while [ $i -lt 40000 ]; do i=$((i+1)); done"
#define BURN LOOP "; sh -c '" LOOP "'"

static struct command *create(char *const *argv, bool no_cgroup)
{
	static sigset_t mask; /* nothing is blocked */
	const struct command_options o = { .argv = argv,
		.stdout_fd = -1,
		.mask = &mask,
		.old_sigchld = SIG_DFL,
		.no_cgroup = no_cgroup };
	struct command *c = NULL;
	const char *what;

	sigemptyset(&mask);
	assert_int_equal(command_create(&c, &o, &what), 0);
	return c;
}

static bool is_over(void *ctx)
{
	return command_reap(ctx);
}

static uint64_t used_ns(struct target *t)
{
	struct usage usage;

	t->ops->read(t, wait_now_ns(), &usage);
	return usage.cpu_ns;
}

/* CPU time of the children that were waited for. */
static uint64_t waited_ns(void)
{
	struct rusage u;

	getrusage(RUSAGE_CHILDREN, &u);
	return ((uint64_t) u.ru_utime.tv_sec + (uint64_t) u.ru_stime.tv_sec) * NS_PER_S +
		((uint64_t) u.ru_utime.tv_usec + (uint64_t) u.ru_stime.tv_usec) * 1000;
}

/* Runs it to its end; returns what it used. */
static uint64_t run(const char *script, bool no_cgroup, int *ret_status)
{
	char *const argv[] = { WORD("sh"), WORD("-c"), (char *) script, NULL };
	struct command *c = create(argv, no_cgroup);
	struct target t;
	uint64_t before_ns;
	struct usage usage;

	assert_int_equal(command_target(c, &t), 0);
	before_ns = used_ns(&t);
	assert_int_equal(command_release(c), 0);
	assert_true(wait_until(is_over, c));
	t.ops->read(&t, wait_now_ns(), &usage);
	assert_int_equal(usage.flags, USAGE_ENDED);
	*ret_status = command_status(c);
	target_close(&t);
	command_destroy(c);
	return usage.cpu_ns - before_ns;
}

static void check_time(bool no_cgroup)
{
	uint64_t before_ns = waited_ns(), ns, true_ns;
	int status;

	ns = run(BURN "; exit 7", no_cgroup, &status);
	true_ns = waited_ns() - before_ns;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
	/* What the process used before it was the command is in the second alone. */
	assert_in_range(ns, true_ns - 20 * MS, true_ns + 10 * MS);
}

static void test_time(void **state)
{
	(void) state;
	check_time(true);
	check_time(false);
}

static void test_status(void **state)
{
	int status;

	(void) state;
	run("kill -9 $$", true, &status);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void test_not_executed(void **state)
{
	size_t fds = dir_count("/proc/self/fd");
	char *const names[] = { WORD("/no/such/command"), WORD("/etc/passwd"), WORD("/") };
	static const int errors[] = { -ENOENT, -EACCES, -EACCES };

	(void) state;
	for (size_t i = 0; i < 3; i++) {
		char *const argv[] = { names[i], NULL };
		struct command *c = create(argv, true);

		assert_int_equal(command_release(c), errors[i]);
		command_destroy(c);
	}
	assert_int_equal(dir_count("/proc/self/fd"), fds);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	command_destroy(NULL);
}

/* What waits is killed; nothing is left of it. */
static void test_never_released(void **state)
{
	char *const argv[] = { WORD("true"), NULL };
	size_t fds = dir_count("/proc/self/fd");
	struct command *c = create(argv, true);
	pid_t pid = command_pid(c);

	(void) state;
	assert_int_equal(kill(pid, 0), 0);
	command_destroy(c);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(dir_count("/proc/self/fd"), fds);
}

static void test_no_such_user(void **state)
{
	char *const argv[] = { WORD("true"), NULL };
	const struct command_options o = { .argv = argv, .user = "nobody-of-that-name" };
	struct command *c;
	const char *what;

	(void) state;
	assert_int_equal(command_create(&c, &o, &what), -ENOENT);
	assert_string_equal(what, "the user");
}

static void burn_and_end(void *ctx)
{
	(void) ctx;
	burn_cpu(200 * MS);
}

/* Children that were there before are none of the command's, whether they end meanwhile or not. */
static void test_strangers(void **state)
{
	char *const argv[] = { WORD("sleep"), WORD("0.05"), NULL };
	pid_t stays = child_start(child_burn, NULL), ends = child_start(burn_and_end, NULL);
	struct command_left left[4];
	struct command *c;
	struct target t;
	uint64_t begun_ns;
	siginfo_t info;

	(void) state;
	waitid(P_PID, (id_t) ends, &info, WEXITED | WNOWAIT);
	c = create(argv, true);
	assert_int_equal(command_target(c, &t), 0);
	begun_ns = used_ns(&t);
	assert_int_equal(command_release(c), 0);
	assert_true(wait_until(is_over, c));
	assert_int_equal(command_left(c, left, 4), 0);
	assert_in_range(used_ns(&t) - begun_ns, 0, 100 * MS);
	target_close(&t);
	command_destroy(c);
	child_end(stays);
}

static void check_left(bool no_cgroup)
{
	char *const argv[] = { WORD("sh"), WORD("-c"),
		WORD("sleep 60 & sleep 60 & sleep 60 & exit 0"), NULL };
	struct command *c = create(argv, no_cgroup);
	struct command_left left[3], two[2];

	assert_int_equal(command_release(c), 0);
	assert_true(wait_until(is_over, c));
	/* All are told of, also those for whom there is no room. */
	assert_int_equal(command_left(c, two, 2), 3);
	assert_int_equal(command_left(c, left, 3), 3);
	for (size_t i = 0; i < 3; i++)
		kill(left[i].pid, SIGKILL);
	command_destroy(c);
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static void test_left(void **state)
{
	(void) state;
	if (is_emulated())
		skip();
	check_left(true);
	check_left(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_not_executed),
		cmocka_unit_test(test_never_released),
		cmocka_unit_test(test_no_such_user),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
