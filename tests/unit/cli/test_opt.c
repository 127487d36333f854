// SPDX-License-Identifier: MIT
/* Reading a command line from a table of options. */
#include "test.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

enum colour { RED, GREEN };
static const char *const colours[] = { "red", "green", NULL };

struct given {
	bool flag, other;
	const char *text, *path;
	uint64_t count, delay_ns, sync_ns, any;
	enum colour colour;
	char called[64];
};

static int take(void *field, const char *text, char *ret_why, size_t why_size)
{
	struct given *g = field;

	if (strcmp(text, "bad") == 0) {
		snprintf(ret_why, why_size, "not good: '%s'", text);
		return -1;
	}
	snprintf(g->called, sizeof(g->called), "%s", text);
	return 0;
}

static const struct opt rows[] = {
	OPT_FLAG('f', "flag", struct given, flag, "set it", .excludes = 1),
	OPT_HEADING("More"),
	OPT_FLAG('g', "other", struct given, other, "set the other", .excludes = 1 | 2),
	OPT_TEXT('t', "text", "TEXT", struct given, text, "keep TEXT", .initial = "none",
		.variable = "PM_TEST_TEXT"),
	OPT_TEXT(0, "path", "DIR", struct given, path, "keep DIR", .min = 1, .excludes = 2),
	OPT_NUMBER('n', "count", "N", struct given, count, opt_count, 1, 100, "count"),
	OPT_NUMBER('d', "delay", "SECONDS", struct given, delay_ns, opt_seconds, NS_PER_S / 4,
		3600 * NS_PER_S, "wait", .initial = "1.5"),
	OPT_NUMBER(0, "sync", "SECONDS", struct given, sync_ns, opt_whole_seconds, NS_PER_S,
		86400 * NS_PER_S, "sync"),
	OPT_NUMBER(0, "any", "N", struct given, any, opt_count, 1, OPT_UNLIMITED, "take any"),
	OPT_WORD(0, "colour", "red|green", struct given, colour, colours, "choose"),
	OPT_CALL('c', "call", "TEXT", take, "call"),
	OPT_END,
};

static const struct cli_command command = { .name = "test", .options = rows };

static struct given given;
static struct opts o;
static char name[] = "test";
static char *words[24];
static char said[512];

/* Reads a command line of words up to NULL, and what is said on standard error. */
static bool read_line(int operands, ...)
{
	int pipe_fds[2], old = dup(STDERR_FILENO), argc = 0;
	va_list args;
	bool r;
	ssize_t n;

	given = (struct given) { 0 };
	words[argc++] = name;
	va_start(args, operands);
	while ((words[argc] = va_arg(args, char *)))
		argc++;
	va_end(args);
	assert_int_equal(pipe(pipe_fds), 0);
	dup2(pipe_fds[1], STDERR_FILENO);
	close(pipe_fds[1]);
	opts_begin(&o, &command, argc, words, &given);
	r = opts_take_all(&o, operands);
	dup2(old, STDERR_FILENO);
	close(old);
	n = r ? 0 : read(pipe_fds[0], said, sizeof(said) - 1);
	said[n > 0 ? n : 0] = '\0';
	said[strcspn(said, "\n")] = '\0';
	close(pipe_fds[0]);
	return r;
}

#define READ(...) read_line(0, __VA_ARGS__, NULL)

static void assert_refused(bool r, const char *text)
{
	char expected[512];

	snprintf(expected, sizeof(expected), "powermeasure test: %s", text);
	assert_false(r);
	assert_int_equal(o.status, CLI_USAGE);
	assert_string_equal(said, expected);
}

static void test_values_of_each_type(void **state)
{
	(void) state;
	assert_true(READ("-f", "--text", "a", "--path=b", "-n5", "--delay", "0.25", "--sync", "60",
		"--any", "18446744073709551615", "--colour", "green", "-c", "it"));
	assert_true(given.flag);
	assert_false(given.other);
	assert_string_equal(given.text, "a");
	assert_string_equal(given.path, "b");
	assert_int_equal(given.count, 5);
	assert_int_equal(given.delay_ns, 250000000);
	assert_int_equal(given.sync_ns, 60 * NS_PER_S);
	assert_true(given.any == UINT64_MAX);
	assert_int_equal(given.colour, GREEN);
	assert_string_equal(given.called, "it");
}

static void test_letters_together(void **state)
{
	(void) state;
	assert_true(READ("-fn", "7", "--", NULL));
	assert_true(given.flag);
	assert_int_equal(given.count, 7);
	assert_true(READ("-fn7"));
	assert_int_equal(given.count, 7);
	assert_true(READ("-t", "-f")); /* a value may look like an option */
	assert_string_equal(given.text, "-f");
	assert_false(given.flag);
}

static void test_initial_values_and_variables(void **state)
{
	(void) state;
	assert_true(READ("-f"));
	assert_string_equal(given.text, "none");
	assert_int_equal(given.delay_ns, 1500000000);
	assert_true(opts_given(&o, "flag"));
	assert_false(opts_given(&o, "text"));
	assert_false(opts_given(&o, "nonsense"));
	setenv("PM_TEST_TEXT", "variable", 1);
	assert_true(READ("-f"));
	assert_string_equal(given.text, "variable");
	assert_true(opts_given(&o, "text"));
	assert_true(READ("--text", "line"));
	assert_string_equal(given.text, "line");
	setenv("PM_TEST_TEXT", "", 1);
	assert_true(READ("-f"));
	assert_string_equal(given.text, "none");
	unsetenv("PM_TEST_TEXT");
}

static void test_operands(void **state)
{
	(void) state;
	assert_true(read_line(2, "a", "-f", "b", NULL));
	assert_int_equal(o.n_operands, 2);
	assert_string_equal(o.words[1], "a");
	assert_string_equal(o.words[2], "b");
	assert_true(given.flag);
	assert_true(read_line(2, "--", "-f", "--count", NULL));
	assert_string_equal(o.words[1], "-f");
	assert_string_equal(o.words[2], "--count");
	assert_true(read_line(1, "-", NULL));
	assert_string_equal(o.words[1], "-");
	assert_refused(read_line(1, "a", "b", NULL), "unexpected argument: 'b'");
	assert_refused(READ(""), "unexpected argument: ''");
}

static void test_numbers_outside_of_their_limits(void **state)
{
	(void) state;
	assert_refused(READ("-n", "0"), "-n: not a whole number from 1 to 100: '0'");
	assert_refused(READ("--count=101"), "--count: not a whole number from 1 to 100: '101'");
	assert_refused(READ("-n", "1.5"), "-n: not a whole number from 1 to 100: '1.5'");
	assert_refused(READ("-n", "-1"), "-n: not a whole number from 1 to 100: '-1'");
	assert_refused(READ("-n", ""), "-n: not a whole number from 1 to 100: ''");
	assert_refused(READ("-d", "0.249999999"),
		"-d: not a number of seconds from 0.25 to 3600: '0.249999999'");
	assert_refused(
		READ("-d", "3600.1"), "-d: not a number of seconds from 0.25 to 3600: '3600.1'");
	assert_refused(READ("--sync", "18446744073"),
		"--sync: not a whole number of seconds from 1 to 86400: '18446744073'");
	assert_refused(READ("--sync", "18446744073709551615"),
		"--sync: not a whole number of seconds from 1 to 86400: '18446744073709551615'");
	assert_refused(READ("--any", "0"), "--any: not a whole number of at least 1: '0'");
}

static void test_other_refusals(void **state)
{
	(void) state;
	assert_refused(READ("--cuont", "1"), "unknown option: '--cuont'; did you mean '--count'?");
	assert_refused(READ("--cou", "1"), "unknown option: '--cou'; did you mean '--count'?");
	assert_refused(READ("--hlep"), "unknown option: '--hlep'; did you mean '--help'?");
	assert_refused(READ("--nonsense=5"), "unknown option: '--nonsense'");
	assert_refused(READ("-fx"), "unknown option: '-x'");
	assert_refused(READ("--flag=yes"), "--flag takes no value");
	assert_refused(READ("--count"), "--count needs a value");
	assert_refused(READ("-fn"), "-n needs a value");
	assert_refused(READ("--path", ""), "--path: the value is empty");
	assert_refused(READ("--colour", "blue"), "--colour: not one of red, green: 'blue'");
	assert_refused(READ("--colour", "re"), "--colour: not one of red, green: 're'");
	assert_refused(READ("-c", "bad"), "-c: not good: 'bad'");
}

static void test_options_that_exclude_each_other(void **state)
{
	(void) state;
	assert_refused(READ("-g", "-f"), "--flag and --other cannot be used together");
	assert_refused(READ("-g", "--path", "x"), "--other and --path cannot be used together");
	assert_true(READ("-f", "--path", "x"));
	assert_true(READ("-f", "-f"));
}

static void test_a_row_is_found_and_set_by_its_name(void **state)
{
	const struct opt *row = opt_find(rows, "delay=2", strlen("delay"));
	struct given g = { 0 };
	char why[128];

	(void) state;
	assert_ptr_equal(row, opt_find_letter(rows, 'd'));
	assert_int_equal(opt_set(row, &g, "2", why, sizeof(why)), 0);
	assert_int_equal(g.delay_ns, 2 * NS_PER_S);
	assert_int_equal(opt_set(row, &g, "x", why, sizeof(why)), -EINVAL);
	assert_string_equal(why, "not a number of seconds from 0.25 to 3600: 'x'");
	assert_int_equal(g.delay_ns, 2 * NS_PER_S);
	assert_null(opt_find(rows, "More", 4));
	assert_null(opt_find(rows, "del", 3));
	assert_null(opt_find_letter(rows, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values_of_each_type),
		cmocka_unit_test(test_letters_together),
		cmocka_unit_test(test_initial_values_and_variables),
		cmocka_unit_test(test_operands),
		cmocka_unit_test(test_numbers_outside_of_their_limits),
		cmocka_unit_test(test_other_refusals),
		cmocka_unit_test(test_options_that_exclude_each_other),
		cmocka_unit_test(test_a_row_is_found_and_set_by_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
