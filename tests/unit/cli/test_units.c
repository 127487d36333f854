// SPDX-License-Identifier: MIT
/* Units of work in a command's output, which is handed on as it is. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/run/units.h"
#include "files.h"

/* Standard output is the test's own: it is another one while units write to it. */
static int own_stdout = -1;

static void become_stdout(int fd)
{
	own_stdout = dup(STDOUT_FILENO);
	dup2(fd, STDOUT_FILENO);
}

static void give_stdout_back(void)
{
	dup2(own_stdout, STDOUT_FILENO);
	close(own_stdout);
}

/* As a command would write it and end; the output is looked at in *ret_out. */
static double count(const char *pattern, const char *text, size_t n)
{
	struct units *u;
	char why[64], got[4096];
	double sum;
	int out[2];

	assert_int_equal(units_create(&u, pattern, why, sizeof(why)), 0);
	assert_int_equal(units_prepare(u), 0);
	assert_int_equal(write(units_write_fd(u), text, n), n);
	units_begin(u);
	assert_int_equal(pipe(out), 0);
	become_stdout(out[1]);
	close(out[1]);
	units_end(u);
	while (units_has_more(u))
		units_step(u);
	sum = units_finish(u);
	give_stdout_back();
	assert_int_equal(read(out[0], got, sizeof(got)), n);
	assert_memory_equal(got, text, n);
	close(out[0]);
	units_destroy(u);
	return sum;
}

static void test_patterns(void **state)
{
	static const struct {
		const char *pattern, *text;
		double sum;
	} cases[] = {
		{ "img", "img img\nimg", 3 },
		{ "^img", "img img\nimg\n", 2 },
		{ "([0-9]+) images", "3 images, 4 images\nand 5 images", 12 },
		{ "([0-9.]+)s", "1.5s\n2.25s\n", 3.75 },
		{ "(a)|b", "a b\n", 0 },
		{ "([0-9]+)?b", "3b b\n", 3 },
		{ "$", "one\ntwo\n", 2 },
		{ "^", "one\ntwo", 2 },
		{ "x*", "xx\n", 2 },
		{ "loss (.*)", "loss nan\nloss -inf\nloss 1\n", 1 },
		{ "z", "one\n", 0 },
	};

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_float_equal(count(cases[i].pattern, cases[i].text, strlen(cases[i].text)),
			cases[i].sum, 0);
	/* Any bytes are handed on. */
	assert_float_equal(count("b", "a\0b\n\xff\xfe", 6), 1, 0);
}

static void test_bad_pattern(void **state)
{
	struct units *u;
	char why[64] = "";

	(void) state;
	assert_int_equal(units_create(&u, "(", why, sizeof(why)), -EINVAL);
	assert_true(strlen(why) > 0);
	units_destroy(NULL);
}

/* Nobody reads: no step waits, and there is a way out. */
static void test_full_pipe(void **state)
{
	static char text[65536];
	size_t fds = dir_count("/proc/self/fd"), n = 0;
	struct pollfd want;
	struct units *u;
	char why[64];
	int out[2];

	(void) state;
	memset(text, 'y', sizeof(text));
	assert_int_equal(units_create(&u, "y", why, sizeof(why)), 0);
	assert_int_equal(units_prepare(u), 0);
	assert_int_equal(pipe(out), 0);
	fcntl(out[1], F_SETPIPE_SZ, 4096);
	assert_int_equal(write(units_write_fd(u), text, sizeof(text)), sizeof(text));
	become_stdout(out[1]);
	close(out[1]);
	want = units_want(u);
	while (poll(&want, 1, 0) == 1 && n++ < 100) {
		units_step(u);
		want = units_want(u);
	}
	assert_int_equal(want.fd, STDOUT_FILENO);
	units_begin(u);
	units_end(u);
	assert_true(units_has_more(u));
	/* The reader comes back: it goes on. */
	assert_true(read(out[0], text, sizeof(text)) > 0);
	assert_int_equal(poll(&want, 1, 0), 1);
	units_step(u);
	units_finish(u);
	assert_false(units_has_more(u));
	give_stdout_back();
	close(out[0]);
	units_destroy(u);
	assert_int_equal(dir_count("/proc/self/fd"), fds);
}

/* Whoever was left behind may write for ever: what was there at the end is the end. */
static void test_end(void **state)
{
	struct units *u;
	char why[64];
	int null = open("/dev/null", O_WRONLY), writer;

	(void) state;
	assert_int_equal(units_create(&u, "a", why, sizeof(why)), 0);
	assert_int_equal(units_prepare(u), 0);
	writer = dup(units_write_fd(u));
	units_begin(u);
	become_stdout(null);
	assert_int_equal(write(writer, "a\na\n", 4), 4);
	units_end(u);
	assert_int_equal(write(writer, "a\n", 2), 2);
	while (units_has_more(u))
		units_step(u);
	assert_float_equal(units_finish(u), 2, 0);
	give_stdout_back();
	close(writer);
	close(null);
	units_destroy(u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_bad_pattern),
		cmocka_unit_test(test_full_pipe),
		cmocka_unit_test(test_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
