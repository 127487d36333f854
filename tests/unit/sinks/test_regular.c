// SPDX-License-Identifier: MIT
/* Opening what may be anything. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "sinks/regular.h"

static char dir[64];

static const char *in_dir(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static int set_up(void **state)
{
	CLEANUP_FD int fd = -1;

	(void) state;
	snprintf(dir, sizeof(dir), "/tmp/regular-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	fd = open(in_dir("file"), O_WRONLY | O_CREAT, 0644);
	return fd < 0 || mkfifo(in_dir("fifo"), 0644) < 0 || mkdir(in_dir("dir"), 0755) < 0 ||
		symlink("file", in_dir("link")) < 0;
}

static int tear_down(void **state)
{
	(void) state;
	unlink(in_dir("file"));
	unlink(in_dir("fifo"));
	unlink(in_dir("link"));
	unlink(in_dir("new"));
	rmdir(in_dir("dir"));
	return rmdir(dir);
}

/* 0 where it can be opened. */
static int result_of(int fd)
{
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static void test_by_a_name_in_a_directory(void **state)
{
	static const int ways[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_CREAT | O_APPEND };

	(void) state;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		assert_int_equal(
			result_of(regular_open(AT_FDCWD, in_dir("file"), ways[i], 0644)), 0);
		assert_int_equal(
			result_of(regular_open(AT_FDCWD, in_dir("fifo"), ways[i], 0644)), -EISNAM);
		assert_int_equal(
			result_of(regular_open(AT_FDCWD, in_dir("dir"), ways[i], 0644)), -EISDIR);
		assert_int_equal(
			result_of(regular_open(AT_FDCWD, in_dir("link"), ways[i], 0644)), -ELOOP);
		assert_int_equal(
			result_of(regular_open(AT_FDCWD, "/dev/null", ways[i], 0644)), -EISNAM);
	}
	assert_int_equal(result_of(regular_open(AT_FDCWD, in_dir("new"), O_RDWR, 0)), -ENOENT);
	assert_int_equal(
		result_of(regular_open(AT_FDCWD, in_dir("new"), O_RDWR | O_CREAT, 0600)), 0);
}

static void test_as_a_user_named_it(void **state)
{
	(void) state;
	assert_int_equal(result_of(regular_open_named(in_dir("file"), O_RDWR, 0)), 0);
	assert_int_equal(result_of(regular_open_named(in_dir("link"), O_RDWR, 0)), 0);
	assert_int_equal(result_of(regular_open_named("/dev/null", O_RDWR, 0)), 0);
	assert_int_equal(result_of(regular_open_named(in_dir("fifo"), O_WRONLY, 0)), -EISNAM);
	if (geteuid() == 0) {
		assert_int_equal(lchown(in_dir("link"), 65534, 65534), 0);
		assert_int_equal(result_of(regular_open_named(in_dir("link"), O_RDWR, 0)), -ELOOP);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_by_a_name_in_a_directory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_as_a_user_named_it, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
