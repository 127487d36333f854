// SPDX-License-Identifier: MIT
#include "test.h"

#include "meter/ready.h"

struct reader {
	int calls;
	int ready_at;
};

static bool read_once(void *ctx)
{
	struct reader *r = ctx;

	return ++r->calls == r->ready_at;
}

static void test_waits_until_all_is_read(void **state)
{
	struct reader at_once = { .ready_at = 1 }, third = { .ready_at = 3 };

	(void) state;
	ready_wait(read_once, &at_once, READY_NS);
	assert_int_equal(at_once.calls, 1);
	ready_wait(read_once, &third, READY_NS);
	assert_int_equal(third.calls, 3);
}

/* What never answers is left behind; where there is no time at all it is read once. */
static void test_gives_up(void **state)
{
	struct reader never = { .ready_at = -1 };

	(void) state;
	ready_wait(read_once, &never, 0);
	assert_int_equal(never.calls, 1);
	ready_wait(read_once, &never, 20 * NS_PER_MS);
	assert_int_equal(never.calls, 1 + 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waits_until_all_is_read),
		cmocka_unit_test(test_gives_up),
	};

	return cmocka_run_group_tests_name("ready", tests, NULL, NULL);
}
