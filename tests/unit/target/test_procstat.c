// SPDX-License-Identifier: MIT
/* What /proc/PID/stat says of a process. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "target/procstat.h"

#define BEHIND                                                                                   \
	" S 5392 7446 5392 34835 7446 4218880 32533 309516 26 82 1677 44 158 99 20 0 3 0 82375 " \
	"56274944 1981 18446744073709551615 4194304 6294284 140736914091744\n"

static int parse(const char *text, struct procstat *ret)
{
	size_t n = strlen(text);
	char *exact = malloc(n ? n : 1); /* not terminated: a sanitizer sees reads behind it */
	int r;

	memcpy(exact, text, n);
	r = procstat_parse(exact, n, ret);
	free(exact);
	return r;
}

static void test_stat(void **state)
{
	struct procstat p;

	(void) state;
	assert_int_equal(parse("26231 (vim)" BEHIND, &p), 0);
	assert_string_equal(p.comm, "vim");
	assert_int_equal(p.state, 'S');
	assert_int_equal(p.ppid, 5392);
	assert_int_equal(p.cpu_ticks, 1677 + 44);
	assert_int_equal(p.children_ticks, 158 + 99);
	assert_int_equal(p.n_threads, 3);
	assert_int_equal(p.start_ticks, 82375);
}

/* A name may be anything, also something that looks like the fields behind it. */
static void test_stat_names(void **state)
{
	static const char *const names[] = { "", " ", "a b", ")", "(", "(()", ") R 1 (", "a)b",
		"x\ny", ") S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21", "\xff\xfe",
		"exactly fifteen" };

	(void) state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char text[512];
		struct procstat p;

		snprintf(text, sizeof(text), "1 (%s)" BEHIND, names[i]);
		if (parse(text, &p) != 0 || strcmp(p.comm, names[i]) != 0 || p.start_ticks != 82375)
			fail_msg("\"%s\" was read as \"%s\"", names[i], p.comm);
	}
}

/* Kernel threads' names may be longer than what is kept. */
static void test_stat_long_name(void **state)
{
	char text[512], name[100];
	struct procstat p;

	(void) state;
	memset(name, 'k', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	snprintf(text, sizeof(text), "1 (%s)" BEHIND, name);
	assert_int_equal(parse(text, &p), 0);
	assert_int_equal(strlen(p.comm), sizeof(p.comm) - 1);
	assert_memory_equal(p.comm, name, sizeof(p.comm) - 1);
}

/* Up to the start time, every cut is refused. */
static void test_stat_cut(void **state)
{
	static const char text[] = "26231 (vim)" BEHIND;
	size_t needed = (size_t) (strstr(text, " 82375") - text) + 2;
	struct procstat p = { .start_ticks = 7 };

	(void) state;
	for (size_t n = 0; n < needed; n++) {
		char *cut = strndup(text, n);

		if (parse(cut, &p) != -EINVAL)
			fail_msg("\"%s\" was taken", cut);
		free(cut);
	}
	assert_int_equal(p.start_ticks, 7);
	assert_int_equal(parse("", &p), -EINVAL);
	assert_int_equal(parse("1 )x( S 1", &p), -EINVAL);
	assert_int_equal(parse("no brackets at all", &p), -EINVAL);
}

static void test_stat_live(void **state)
{
	struct procstat p, q;
	char old[16];

	(void) state;
	if (is_emulated())
		skip();
	prctl(PR_GET_NAME, old);
	prctl(PR_SET_NAME, "a) R (b\n");
	assert_int_equal(procstat_read(getpid(), &p), 0);
	prctl(PR_SET_NAME, old);
	assert_string_equal(p.comm, "a) R (b\n");
	assert_int_equal(p.ppid, getppid());
	assert_int_equal(p.state, 'R');
	assert_true(p.n_threads >= 1);
	assert_int_equal(procstat_read(getpid(), &q), 0);
	assert_int_equal(p.start_ticks, q.start_ticks);
	assert_int_equal(procstat_read(0x7ffffff0, &q), -ESRCH);
	assert_int_equal(procstat_read(-5, &q), -ESRCH);
	assert_int_equal(q.start_ticks, p.start_ticks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stat),
		cmocka_unit_test(test_stat_names),
		cmocka_unit_test(test_stat_long_name),
		cmocka_unit_test(test_stat_cut),
		cmocka_unit_test(test_stat_live),
	};

	return cmocka_run_group_tests_name("procstat", tests, NULL, NULL);
}
