// SPDX-License-Identifier: MIT
/* The word that was meant: what is near, and what is too far. */
#include "test.h"

#include "util/nearest.h"

static const char *const words[] = { "run", "stat", "list", "compare", "plugin", "doctor" };

static const char *nearest_of(const char *word)
{
	struct nearest n = { .word = word };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		nearest_try(&n, words[i]);
	return n.best;
}

static void test_one_mistake(void **state)
{
	(void) state;
	assert_string_equal(nearest_of("rn"), "run");          /* left out */
	assert_string_equal(nearest_of("statt"), "stat");      /* added */
	assert_string_equal(nearest_of("lisr"), "list");       /* changed */
	assert_string_equal(nearest_of("comapre"), "compare"); /* swapped */
	assert_string_equal(nearest_of("plugni"), "plugin");
}

static void test_a_beginning_is_near(void **state)
{
	(void) state;
	assert_string_equal(nearest_of("comp"), "compare");
	assert_string_equal(nearest_of("do"), "doctor");
}

static void test_what_is_too_far(void **state)
{
	(void) state;
	assert_null(nearest_of("dance"));
	assert_null(nearest_of(""));
	assert_null(nearest_of("x"));
	assert_null(nearest_of("tcelpmoc"));
	assert_null(nearest_of("a-word-that-is-longer-than-any-name-of-ours"));
}

static void test_the_first_of_two_as_near(void **state)
{
	struct nearest n = { .word = "stap" };

	(void) state;
	nearest_try(&n, "stat");
	nearest_try(&n, "stop");
	assert_string_equal(n.best, "stat");
	assert_int_equal(n.distance, 1);
	nearest_try(&n, "stap");
	assert_string_equal(n.best, "stap");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_mistake),
		cmocka_unit_test(test_a_beginning_is_near),
		cmocka_unit_test(test_what_is_too_far),
		cmocka_unit_test(test_the_first_of_two_as_near),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
