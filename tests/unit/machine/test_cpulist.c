// SPDX-License-Identifier: MIT
/* Lists of CPUs. */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "machine/cpulist.h"

static void test_lists(void **state)
{
	static const struct {
		const char *text;
		const char *cpus;
	} cases[] = {
		{ "0", "0" },
		{ "0\n", "0" },
		{ "0-3", "0 1 2 3" },
		{ "0,24\n", "0 24" },
		{ "0-1,8,10-11", "0 1 8 10 11" },
		{ "7-7", "7" },
		{ "", "" },
		{ "\n", "" },
		{ "x", "" },
		{ "3,x", "3" },
		{ "3-", "" },
		{ "3-1,5", "" },
		{ "-1", "" },
		{ "65536", "" },
		{ "65535", "65535" },
		{ "99999999999999999999", "" },
		{ "1,,2", "1" },
	};

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cpulist list = { .at = cases[i].text };
		char found[256] = "";
		int cpu;

		while (cpulist_next(&list, &cpu))
			snprintf(found + strlen(found), sizeof(found) - strlen(found), "%s%d",
				*found ? " " : "", cpu);
		assert_string_equal(found, cases[i].cpus);
		assert_false(cpulist_next(&list, &cpu));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
	};

	return cmocka_run_group_tests_name("cpulist", tests, NULL, NULL);
}
