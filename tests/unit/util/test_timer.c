// SPDX-License-Identifier: MIT
#include "test.h"

#include <poll.h>
#include <unistd.h>

#include "util/timer.h"

static void test_times(void **state)
{
	struct timespec ts = ns_to_timespec(UINT64_C(12345678901));

	(void) state;
	assert_int_equal(ts.tv_sec, 12);
	assert_int_equal(ts.tv_nsec, 345678901);
	assert_int_equal(timespec_to_ns(&ts), UINT64_C(12345678901));
	ts = timespec_until(3, UINT64_C(2000000000));
	assert_int_equal(timespec_to_ns(&ts), 0);
	ts = timespec_until(UINT64_C(2000000003), 3);
	assert_int_equal(timespec_to_ns(&ts), 2000000000);
}

/* Its steps are on the grid that was asked for, also where its beginning is long ago. */
static void test_grid(void **state)
{
	struct timespec now;
	uint64_t count = 0;
	int fd;

	(void) state;
	clock_gettime(CLOCK_MONOTONIC, &now);
	fd = timer_open(timespec_to_ns(&now), UINT64_C(3600000000000));
	assert_true(fd >= 0);
	assert_int_equal(read(fd, &count, sizeof(count)), -1);
	timer_set(fd, 0, 1000000);
	assert_int_equal(poll(&(struct pollfd) { .fd = fd, .events = POLLIN }, 1, -1), 1);
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	assert_true(count >= timespec_to_ns(&now) / 1000000);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_grid),
	};

	return cmocka_run_group_tests_name("timer", tests, NULL, NULL);
}
