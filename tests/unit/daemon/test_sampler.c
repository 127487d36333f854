// SPDX-License-Identifier: MIT
/* What the sampling thread says when it cannot be had. */
#include "test.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include "daemon/sampler.h"

/* Which of the calls that open a file fails next, counted from 0; the linker puts ours in the place of
 * the C library's. */
static int failing;
static int n_opened;

int __real_eventfd(unsigned count, int flags);
int __real_timerfd_create(int clock, int flags);
int __real_epoll_create1(int flags);
int __wrap_eventfd(unsigned count, int flags);
int __wrap_timerfd_create(int clock, int flags);
int __wrap_epoll_create1(int flags);

/* An error that is not the one of this process having too many files open. */
static bool fails(void)
{
	errno = ENFILE;
	return n_opened++ == failing;
}

int __wrap_eventfd(unsigned count, int flags)
{
	return fails() ? -1 : __real_eventfd(count, flags);
}

int __wrap_timerfd_create(int clock, int flags)
{
	return fails() ? -1 : __real_timerfd_create(clock, flags);
}

int __wrap_epoll_create1(int flags)
{
	return fails() ? -1 : __real_epoll_create1(flags);
}

static void test_the_error_of_the_file_that_failed(void **state)
{
	struct host host;
	struct sampler_options options = { .host = &host };
	struct sampler *s;

	(void) state;
	assert_int_equal(host_init(&host, "/", &clock_system), 0);
	for (failing = 0; failing < 4; failing++) {
		n_opened = 0;
		assert_int_equal(sampler_create(&s, &options), -ENFILE);
		assert_int_equal(n_opened, failing + 1);
	}
	host_finish(&host);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_error_of_the_file_that_failed),
	};

	return cmocka_run_group_tests_name("sampler", tests, NULL, NULL);
}
