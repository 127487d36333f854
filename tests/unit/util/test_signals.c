// SPDX-License-Identifier: MIT
#include "test.h"

#include <unistd.h>

#include "util/signals.h"

static void test_which_end(void **state)
{
	(void) state;
	assert_true(signal_ends(SIGINT));
	assert_true(signal_ends(SIGTERM));
	assert_true(signal_ends(SIGHUP));
	assert_true(signal_ends(SIGQUIT));
	assert_false(signal_ends(SIGCHLD));
	assert_false(signal_ends(SIGALRM));
	assert_false(signal_ends(0));
}

/* As nohup starts programs: SIGHUP is ignored, and stays so. */
static void test_ignored_ones_are_left_out(void **state)
{
	struct sigaction before;
	sigset_t set;

	(void) state;
	sigaction(SIGHUP, &(struct sigaction) { .sa_handler = SIG_IGN }, &before);
	signals_that_end(&set);
	sigaction(SIGHUP, &before, NULL);
	assert_int_equal(sigismember(&set, SIGHUP), 0);
	assert_int_equal(sigismember(&set, SIGTERM), 1);
	signals_that_end(&set);
	assert_int_equal(sigismember(&set, SIGHUP), 1);
}

static void test_they_are_read(void **state)
{
	struct signalfd_siginfo info;
	sigset_t set, before, now;
	int fd;

	(void) state;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	fd = signals_open(&set, &before);
	assert_true(fd >= 0);
	assert_false(signals_next(fd, &info));
	kill(getpid(), SIGTERM); /* would end this process if it were not blocked */
	assert_true(signals_next(fd, &info));
	assert_int_equal(info.ssi_signo, SIGTERM);
	assert_int_equal(info.ssi_pid, getpid());
	assert_false(signals_next(fd, &info));
	assert_int_equal(sigismember(&before, SIGTERM), 0);
	sigprocmask(SIG_SETMASK, &before, &now);
	assert_int_equal(sigismember(&now, SIGTERM), 1);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_which_end),
		cmocka_unit_test(test_ignored_ones_are_left_out),
		cmocka_unit_test(test_they_are_read),
	};

	return cmocka_run_group_tests_name("signals", tests, NULL, NULL);
}
