// SPDX-License-Identifier: MIT
/* Connections: who they are, and who makes room for a new one. */
#include "test.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "events/callers.h"
#include "util/cleanup.h"

static struct callers c;
static int pairs[5][2];

static int set_up(void **state)
{
	(void) state;
	callers_init(&c);
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]) < 0)
			return -1;
	return 0;
}

static int tear_down(void **state)
{
	(void) state;
	callers_finish(&c);
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		for (int end = 0; end < 2; end++)
			close(pairs[i][end]);
	return 0;
}

static bool is_closed(size_t i)
{
	char byte;

	return recv(pairs[i][1], &byte, 1, MSG_DONTWAIT) == 0;
}

static void test_the_one_idle_longest_makes_room(void **state)
{
	(void) state;
	c.max = 3;
	for (size_t i = 0; i < 3; i++)
		callers_add(&c, pairs[i][0], i + 1);
	assert_int_equal(callers_make_room(&c), 0);
	assert_int_not_equal(callers_heard(&c, pairs[0][0], 10), 0);
	callers_add(&c, pairs[3][0], 11);
	assert_int_equal(callers_make_room(&c), 1);
	assert_false(is_closed(0) || is_closed(2) || is_closed(3));
	assert_true(is_closed(1));
	assert_int_equal(c.n, 3);
	/* That it has closed is reported afterwards. */
	callers_remove(&c, pairs[1][0]);
	assert_int_equal(c.n, 3);
}

static void test_a_number_that_is_given_again_is_another_caller(void **state)
{
	uint64_t first, second;

	(void) state;
	callers_add(&c, pairs[0][0], 1);
	first = callers_heard(&c, pairs[0][0], 2);
	callers_remove(&c, pairs[0][0]);
	assert_int_equal(callers_heard(&c, pairs[0][0], 3), 0);
	callers_add(&c, pairs[0][0], 4);
	second = callers_heard(&c, pairs[0][0], 5);
	assert_true(first != 0 && second != 0 && first != second);
}

static void test_what_is_no_descriptor(void **state)
{
	(void) state;
	callers_add(&c, -1, 1);
	callers_remove(&c, -1);
	callers_remove(&c, 1 << 30);
	callers_add(&c, 1 << 30, 1);
	assert_int_equal(callers_heard(&c, -1, 1), 0);
	assert_int_equal(callers_heard(&c, 1 << 30, 1), 0);
	assert_int_equal(c.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_the_one_idle_longest_makes_room, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_number_that_is_given_again_is_another_caller, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_no_descriptor, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
