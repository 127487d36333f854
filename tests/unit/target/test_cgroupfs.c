// SPDX-License-Identifier: MIT
/* Control groups: what /proc and a group's files say, and a group of one's own. */
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "files.h"
#include "target/cgroupfs.h"

static void test_time(void **state)
{
	static const struct {
		const char *text;
		int r;
		uint64_t ns;
	} cases[] = {
		{ "usage_usec 12\nuser_usec 7\nsystem_usec 5\n", 0, 12000 },
		{ "usage_usec 18446744073709551\n", 0, UINT64_C(18446744073709551000) },
		{ "usage_usec 18446744073709552\n", -EINVAL, 0 },
		{ "usage_usec x\n", -EINVAL, 0 },
		{ "123456789\n", 0, 123456789 },
		{ "0\n", 0, 0 },
		{ "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
	};

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t ns = 0;
		int r = cgroup_parse_ns(cases[i].text, &ns);

		assert_int_equal(r < 0, cases[i].r < 0);
		assert_true(ns == cases[i].ns);
	}
}

static void test_mount(void **state)
{
	struct cgroup_mount m;

	(void) state;
	assert_true(cgroup_parse_mount("31 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 "
				       "cgroup2 rw,nsdelegate\n",
		true, &m));
	assert_string_equal(m.point, "/sys/fs/cgroup");
	assert_string_equal(m.root, "/");
	assert_false(cgroup_parse_mount(
		"31 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", false, &m));
	assert_true(
		cgroup_parse_mount("33 31 0:30 /docker/ab /sys/fs/cgroup/cpu,cpuacct ro master:9 "
				   "- cgroup cgroup rw,cpu,cpuacct\n",
			false, &m));
	assert_string_equal(m.root, "/docker/ab");
	assert_true(cgroup_parse_mount(
		"33 31 0:30 / /my\\040groups rw - cgroup none rw,cpuacct\n", false, &m));
	assert_string_equal(m.point, "/my groups");
	assert_false(cgroup_parse_mount(
		"33 31 0:30 / /sys/fs/cgroup/x rw - cgroup cgroup rw,cpuacctx,cpu\n", false, &m));
	assert_false(cgroup_parse_mount("33 31 0:30 / /tmp rw - tmpfs cpuacct rw\n", false, &m));
	assert_false(cgroup_parse_mount("nonsense\n", true, &m));
	assert_false(cgroup_parse_mount("", true, &m));
}

static void test_own(void **state)
{
	char path[64];

	(void) state;
	assert_true(cgroup_parse_own("0::/user.slice/a:b\n", true, path, sizeof(path)));
	assert_string_equal(path, "/user.slice/a:b");
	assert_false(cgroup_parse_own("0::/user.slice\n", false, path, sizeof(path)));
	assert_true(cgroup_parse_own("4:cpu,cpuacct:/\n", false, path, sizeof(path)));
	assert_string_equal(path, "/");
	assert_false(cgroup_parse_own("4:cpu:/\n", false, path, sizeof(path)));
	assert_false(cgroup_parse_own("1:name=cpuacct2:/\n", false, path, sizeof(path)));
	assert_false(cgroup_parse_own("nonsense\n", true, path, sizeof(path)));
}

static void check_directory(const char *root, const char *group, const char *expected)
{
	struct cgroup_mount m = { .point = "/cg" };
	char path[64];

	snprintf(m.root, sizeof(m.root), "%s", root);
	cgroup_directory(&m, group, path, sizeof(path));
	assert_string_equal(path, expected);
}

static void test_directory(void **state)
{
	(void) state;
	check_directory("/", "/", "/cg");
	check_directory("/", "/a/b", "/cg/a/b");
	check_directory("/", "a/b", "/cg/a/b");
	check_directory("/docker/ab", "/docker/ab", "/cg");
	check_directory("/docker/ab", "/docker/ab/c", "/cg/c");
	check_directory("/docker/ab", "/docker/abc", "/cg/docker/abc");
}

/* Version 1 has a cpu.stat too, which tells no CPU time. */
static void test_files(void **state)
{
	struct tmpdir dir = tmpdir_make();
	uint64_t ns;
	int fd;

	(void) state;
	assert_int_equal(cgroup_open_usage(dir.path), -EOPNOTSUPP);
	file_put(dir.path, "cpu.stat", "nr_periods 0\nnr_throttled 0\n");
	assert_int_equal(cgroup_open_usage(dir.path), -EOPNOTSUPP);
	file_put(dir.path, "cpuacct.usage", "77\n");
	fd = cgroup_open_usage(dir.path);
	assert_true(fd >= 0);
	assert_int_equal(cgroup_read_ns(fd, &ns), 0);
	assert_int_equal(ns, 77);
	close(fd);
	file_put(dir.path, "cpu.stat", "usage_usec 5\n");
	fd = cgroup_open_usage(dir.path);
	assert_int_equal(cgroup_read_ns(fd, &ns), 0);
	assert_int_equal(ns, 5000);
	close(fd);
	tmpdir_remove(&dir);
	assert_int_equal(cgroup_open_usage("/no/such/group"), -ENOENT);
}

static void enter_and_sleep(void *ctx)
{
	if (cgroup_own_enter(ctx) == 0)
		child_sleep(NULL);
}

/* Where one can be made: as root, mostly. */
static void test_own_group(void **state)
{
	size_t fds = dir_count("/proc/self/fd");
	struct cgroup_own g, again;
	char path[CGROUP_PATH_MAX];
	pid_t pid, found = 0;
	struct stat st;

	(void) state;
	cgroup_own_remove(&(struct cgroup_own) { 0 });
	if (cgroup_own_create(&g) < 0)
		skip();
	snprintf(path, sizeof(path), "%s", g.path);
	assert_int_equal(cgroup_own_list(&g, &found, 1), 0);
	pid = child_start(enter_and_sleep, &g);
	while (cgroup_own_list(&g, &found, 1) == 0 && waitpid(pid, NULL, WNOHANG) == 0)
		usleep(1000);
	assert_int_equal(found, pid);
	/* What is left in it goes to the group above. */
	cgroup_own_remove(&g);
	assert_int_equal(stat(path, &st), -1);
	assert_int_equal(kill(pid, 0), 0);
	child_end(pid);
	/* One that a process of this number left behind is in nobody's way. */
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(cgroup_own_create(&again), 0);
	assert_string_equal(again.path, path);
	cgroup_own_remove(&again);
	assert_int_equal(dir_count("/proc/self/fd"), fds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_mount),
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_directory),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_own_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
