// SPDX-License-Identifier: MIT
/* The root below which everything of a machine is looked for. */
#include "test.h"

#include <errno.h>
#include <stdio.h>

#include "files.h"
#include "machine/host.h"

static void test_root(void **state)
{
	struct tmpdir dir = tmpdir_make();
	char with_slash[TMPDIR_MAX + 4], text[16];
	struct host h;
	DIR *d;

	(void) state;
	file_put(dir.path, "proc/cpuinfo", "vendor_id\t: AuthenticAMD\ncpu family\t: 23\n");
	file_put(dir.path, "sys/a", "12345\n");
	file_put(dir.path, "sys/b", "\n");
	file_put(dir.path, "sys/c", "0123456789abcde\n");
	file_put(dir.path, "sys/d", "0123456789abcd\n");
	/* An absolute link of a captured tree leads to the tree, and none leads out of it. */
	link_put(dir.path, "sys/link", "/sys/a");
	link_put(dir.path, "sys/out", "../../../../../../../../../../etc/passwd");
	snprintf(with_slash, sizeof(with_slash), "%s//", dir.path);
	assert_int_equal(host_init(&h, with_slash, &clock_system), 0);
	assert_string_equal(h.root, dir.path);
	assert_false(h.live);
	assert_int_equal(h.cpu.vendor, CPU_AMD);
	assert_int_equal(h.cpu.family, 23);
	assert_int_equal(host_read_text(&h, "/sys/a", text, sizeof(text)), 5);
	assert_string_equal(text, "12345");
	assert_int_equal(host_read_text(&h, "/sys/b", text, sizeof(text)), 0);
	assert_string_equal(text, "");
	assert_int_equal(host_read_text(&h, "/sys/c", text, sizeof(text)), -E2BIG);
	assert_int_equal(host_read_text(&h, "/sys/d", text, sizeof(text)), 14);
	assert_int_equal(host_read_text(&h, "/sys/e", text, sizeof(text)), -ENOENT);
	assert_int_equal(host_read_text(&h, "/sys", text, sizeof(text)), -EISDIR);
	if (!is_emulated()) { /* openat2(), Linux 5.6 */
		assert_int_equal(host_read_text(&h, "/sys/link", text, sizeof(text)), 5);
		assert_int_equal(host_read_text(&h, "/sys/out", text, sizeof(text)), -ENOENT);
	}
	assert_true(host_has(&h, "/sys"));
	assert_true(host_has(&h, "/"));
	assert_false(host_has(&h, "/sys/e"));
	d = host_open_dir(&h, "/sys");
	assert_non_null(d);
	closedir(d);
	assert_null(host_open_dir(&h, "/sys/a"));
	assert_int_equal(errno, ENOTDIR);
	host_finish(&h);
	assert_int_equal(host_init(&h, "/nonexistent", &clock_system), -ENOENT);
	host_finish(&h);
	snprintf(with_slash, sizeof(with_slash), "%s/sys/a", dir.path);
	assert_int_equal(host_init(&h, with_slash, &clock_system), -ENOTDIR);
	tmpdir_remove(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_root),
	};

	return cmocka_run_group_tests_name("host", tests, NULL, NULL);
}
