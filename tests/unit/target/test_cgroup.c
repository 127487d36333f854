// SPDX-License-Identifier: MIT
/* A control group as a target, by files that look like its own. */
#include "test.h"

#include <errno.h>
#include <unistd.h>

#include "machine/clock.h"
#include "target/target.h"
#include "files.h"

static struct usage read_at(struct target *t, uint64_t ns)
{
	struct usage usage;

	t->ops->read(t, ns, &usage);
	assert_int_equal(usage.slot, t->slot);
	return usage;
}

static void test_group(void **state)
{
	struct tmpdir dir = tmpdir_make();
	size_t fds = dir_count("/proc/self/fd");
	struct usage usage;
	struct target t;
	uint64_t now_ns;

	(void) state;
	assert_int_equal(target_open_cgroup(&t, "/no/such/group"), -ENOENT);
	assert_int_equal(target_open_cgroup(&t, dir.path), -EOPNOTSUPP);
	file_put(dir.path, "cpu.stat", "usage_usec 1000\n");
	assert_int_equal(target_open_cgroup(&t, dir.path), 0);
	assert_string_equal(t.name, dir.path);
	assert_int_equal(t.exit_fd, -1);
	t.slot = 3;
	now_ns = clock_mono_ns(&clock_system);
	usage = read_at(&t, now_ns);
	assert_int_equal(usage.cpu_ns, 1000000);
	assert_int_equal(usage.flags, 0);
	file_put(dir.path, "cpu.stat", "usage_usec 2500\n");
	assert_int_equal(read_at(&t, now_ns + NS_PER_MS).cpu_ns, 2500000);
	/* It never falls. */
	file_put(dir.path, "cpu.stat", "usage_usec 2000\n");
	assert_int_equal(read_at(&t, now_ns + 2 * NS_PER_MS).cpu_ns, 2500000);
	/* It is gone: what it used since the last reading is not known. */
	file_put(dir.path, "cpu.stat", "");
	usage = read_at(&t, now_ns + 5 * NS_PER_MS);
	assert_int_equal(usage.flags, USAGE_ENDED | USAGE_TAIL);
	assert_int_equal(usage.cpu_ns, 2500000);
	assert_int_equal(usage.tail_ns, 3 * NS_PER_MS);
	file_put(dir.path, "cpu.stat", "usage_usec 9000\n");
	assert_int_equal(read_at(&t, now_ns + 6 * NS_PER_MS).cpu_ns, 2500000);
	target_close(&t);
	target_close(&t);
	assert_int_equal(dir_count("/proc/self/fd"), fds);
	tmpdir_remove(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
