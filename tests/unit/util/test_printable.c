// SPDX-License-Identifier: MIT
/* Names as they can be shown: a terminal obeys none of them. */
#include "test.h"

#include <stdio.h>

#include "util/printable.h"

static void test_what_is_shown(void **state)
{
	static const struct {
		const char *name;
		const char *shown;
	} cases[] = { { "plain", "plain" }, { "a\033[2Jb", "a?[2Jb" }, { "a\nb\tc", "a?b?c" },
		{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" }, { "\xff\xfe", "??" },
		{ "\xc2\x9b"
		  "1m",
			"?1m" },
		{ "\x7f", "?" },
		{ "ping\xe2\x80\xae"
		  "gnp",
			"ping?gnp" },
		{ "\xe2\x81\xa6"
		  "a\xe2\x82\xac",
			"?a\xe2\x82\xac" },
		{ "", "" } };
	char text[64], small[4];

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		printable_copy(cases[i].name, text, sizeof(text));
		assert_string_equal(text, cases[i].shown);
		snprintf(text, sizeof(text), "%s", cases[i].name);
		printable(text);
		assert_string_equal(text, cases[i].shown);
	}
	printable_copy("ab\xc3\xbc", small, sizeof(small));
	assert_string_equal(small, "ab");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_shown),
	};

	return cmocka_run_group_tests_name("printable", tests, NULL, NULL);
}
