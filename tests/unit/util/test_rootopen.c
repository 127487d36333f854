// SPDX-License-Identifier: MIT
/*
 * Opening below a directory that counts as the root. Whatever the kernel has for it, the answers are
 * the same: each case runs with openat2() and with that call refused, in each way that is known.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "files.h"
#include "util/cleanup.h"
#include "util/rootopen.h"

#ifndef SYS_openat2
#define SYS_openat2 437 /* Linux 5.6 */
#endif

/* What openat2() fails with; 0: it is the kernel's. */
static int refusal;

long __wrap_syscall(long number, ...);
long __real_syscall(long number, ...);

long __wrap_syscall(long number, ...)
{
	long a[6];
	va_list args;

	va_start(args, number);
	for (size_t i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_openat2 && refusal != 0) {
		errno = refusal;
		return -1;
	}
	return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static const struct {
	const char *path;
	const char *text; /* NULL: it cannot be opened, for that reason: */
	int error;
} cases[] = {
	{ "plain", "plain", 0 },
	{ "sys/./class//file", "inside", 0 },
	{ "sys/class/../class/file", "inside", 0 },
	{ "../../sys/class/file", "inside", 0 },
	{ "sys/relative", "inside", 0 },
	{ "sys/absolute", "inside", 0 },
	{ "sys/chain", "inside", 0 },
	{ "directory/file", "inside", 0 },
	{ "directory/../class/file", "inside", 0 },
	{ "up-and-out", "plain", 0 },
	{ "sys/missing", NULL, ENOENT },
	{ "missing/file", NULL, ENOENT },
	{ "plain/file", NULL, ENOTDIR },
	{ "dangling", NULL, ENOENT },
	{ "outside", NULL, ENOENT },
	{ "circle", NULL, ELOOP },
};

/* The machine's own root has no such file; the directory above the tree has one. */
static struct tmpdir make_tree(char ret_root[PATH_SIZE])
{
	struct tmpdir t = tmpdir_make();

	file_put(t.path, "secret", "outside");
	path_in(t.path, "root", ret_root);
	file_put(ret_root, "plain", "plain");
	file_put(ret_root, "sys/class/file", "inside");
	link_put(ret_root, "sys/relative", "class/file");
	link_put(ret_root, "sys/absolute", "/sys/class/file");
	link_put(ret_root, "sys/chain", "../sys/absolute");
	link_put(ret_root, "directory", "/sys/class");
	link_put(ret_root, "up-and-out", "../../../plain");
	link_put(ret_root, "dangling", "/sys/nowhere");
	link_put(ret_root, "outside", "../secret");
	link_put(ret_root, "circle", "circle");
	return t;
}

static void check_all(int root_fd)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP_FD int fd = root_open(root_fd, cases[i].path, O_RDONLY | O_CLOEXEC);
		char text[16] = "";

		if (fd >= 0)
			assert_true(read(fd, text, sizeof(text) - 1) >= 0);
		if (cases[i].text ? strcmp(text, cases[i].text) != 0 : fd != -cases[i].error)
			fail_msg("%s: %d '%s', with openat2() refused by %s", cases[i].path, fd,
				text, refusal ? strerror(refusal) : "nobody");
	}
}

static void links_stay_inside(void **state)
{
	static const int refusals[] = { 0, ENOSYS, EPERM, EINVAL };
	char root[PATH_SIZE];
	struct tmpdir t = make_tree(root);
	CLEANUP_FD int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void) state;
	assert_true(root_fd >= 0);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		refusal = refusals[i];
		check_all(root_fd);
	}
	tmpdir_remove(&t);
}

static void long_paths_are_refused(void **state)
{
	char root[PATH_SIZE], name[NAME_MAX + 2], path[PATH_MAX + 10];
	struct tmpdir t = make_tree(root);
	CLEANUP_FD int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void) state;
	refusal = ENOSYS;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(root_open(root_fd, name, O_RDONLY), -ENAMETOOLONG);
	memset(path, '/', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(root_open(root_fd, path, O_RDONLY), -ENAMETOOLONG);
	tmpdir_remove(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(links_stay_inside),
		cmocka_unit_test(long_paths_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
