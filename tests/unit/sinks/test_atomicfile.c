// SPDX-License-Identifier: MIT
/* Files that are replaced whole, directories that are listed without memory, figures for people. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "sinks/atomicfile.h"
#include "util/cleanup.h"
#include "util/dirscan.h"
#include "util/format.h"

static void expect_text(const struct tmpdir *dir, const char *name, const char *expected)
{
	char *text = file_get(dir->path, name, NULL);

	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
}

static void test_replaced_whole(void **state)
{
	struct tmpdir dir = tmpdir_make();
	char path[PATH_SIZE], text[8];
	int fd;

	(void) state;
	assert_int_equal(atomicfile_write(dir.path, "a.json", "first", 5, false), 0);
	expect_text(&dir, "a.json", "first");
	fd = open(path_in(dir.path, "a.json", path), O_RDONLY);
	assert_int_equal(atomicfile_write(dir.path, "a.json", "2nd", 3, true), 0);
	expect_text(&dir, "a.json", "2nd");
	/* Who had it open reads the old one. */
	assert_int_equal(read(fd, text, sizeof(text)), 5);
	assert_memory_equal(text, "first", 5);
	close(fd);
	assert_int_equal(atomicfile_write(dir.path, "a.json", "", 0, false), 0);
	expect_text(&dir, "a.json", "");
	assert_int_equal(dir_count(dir.path), 1);
	tmpdir_remove(&dir);
}

static void test_left_alone_on_error(void **state)
{
	struct tmpdir dir = tmpdir_make();
	struct rlimit limit, old;
	char path[PATH_SIZE];

	(void) state;
	assert_int_equal(atomicfile_write("/nonexistent", "a", "x", 1, false), -ENOENT);
	assert_int_equal(atomicfile_write(dir.path, "a", "kept", 4, false), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = old;
	limit.rlim_cur = 2;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(atomicfile_write(dir.path, "a", "too long", 8, false), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	expect_text(&dir, "a", "kept");
	assert_int_equal(dir_count(dir.path), 1);
	/* A directory cannot be replaced; whatever is in the hidden place is, and a link is not followed. */
	dir_put(dir.path, "d");
	assert_int_equal(atomicfile_write(dir.path, "d", "x", 1, false), -EISDIR);
	link_put(dir.path, ".a.new", "victim");
	assert_int_equal(atomicfile_write(dir.path, "a", "x", 1, false), 0);
	assert_int_equal(access(path_in(dir.path, "victim", path), F_OK), -1);
	expect_text(&dir, "a", "x");
	tmpdir_remove(&dir);
}

/* A cut-off hidden file of an earlier run does not show through. */
static void test_left_behind(void **state)
{
	struct tmpdir dir = tmpdir_make();

	(void) state;
	file_put(dir.path, ".a.new", "something much longer than what is written now");
	assert_int_equal(atomicfile_write(dir.path, "a", "short", 5, false), 0);
	expect_text(&dir, "a", "short");
	assert_int_equal(dir_count(dir.path), 1);
	tmpdir_remove(&dir);
}

/* ---- listing ---------------------------------------------------------------------------- */

struct seen {
	bool names[500];
	int n;
	int stop_after;
};

static int note_name(const char *name, void *ctx)
{
	struct seen *seen = ctx;
	int i = atoi(name + strlen("file-with-a-rather-long-name-"));

	if (seen->names[i])
		return -EEXIST;
	seen->names[i] = true;
	return ++seen->n == seen->stop_after ? 42 : 0;
}

static void test_dirscan(void **state)
{
	struct tmpdir dir = tmpdir_make();
	struct seen seen = { .stop_after = -1 };
	CLEANUP_FD int fd = -1;
	char name[64];

	(void) state;
	fd = open(dir.path, O_RDONLY | O_DIRECTORY);
	assert_int_equal(dirscan(fd, note_name, &seen), 0);
	assert_int_equal(seen.n, 0);
	/* More than fit into one block. */
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "file-with-a-rather-long-name-%d", i);
		file_put(dir.path, name, "");
	}
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(dirscan(fd, note_name, &seen), 0);
	assert_int_equal(seen.n, 500);
	seen = (struct seen) { .stop_after = 7 };
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(dirscan(fd, note_name, &seen), 42);
	assert_int_equal(seen.n, 7);
	close_fd(&fd);
	fd = open("/dev/null", O_RDONLY);
	assert_int_equal(dirscan(fd, note_name, &seen), -ENOTDIR);
	assert_int_equal(dirscan(-1, note_name, &seen), -EBADF);
	tmpdir_remove(&dir);
}

/* ---- figures ---------------------------------------------------------------------------- */

static void test_format(void **state)
{
	static const struct {
		uint64_t value;
		const char *text;
	} micros[] = { { 0, "0" }, { 1, "0.000001" }, { 4820, "0.00482" }, { 8369286, "8.37" },
		{ 48570000, "48.6" }, { 123456789, "123" }, { 1234000000, "1234" } },
	  periods[] = { { 500000000, "500 ms" }, { 1000000000, "1 s" }, { 60000000000, "60 s" },
		  { 1500000000, "1500 ms" }, { 976562, "976.6 us" }, { 0, "0 us" } };
	char text[32];

	(void) state;
	for (size_t i = 0; i < ARRAY_SIZE(micros); i++) {
		format_micro(micros[i].value, text, sizeof(text));
		assert_string_equal(text, micros[i].text);
	}
	for (size_t i = 0; i < ARRAY_SIZE(periods); i++) {
		format_period(periods[i].value, text, sizeof(text));
		assert_string_equal(text, periods[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replaced_whole),
		cmocka_unit_test(test_left_alone_on_error),
		cmocka_unit_test(test_left_behind),
		cmocka_unit_test(test_dirscan),
		cmocka_unit_test(test_format),
	};

	return cmocka_run_group_tests_name("atomicfile", tests, NULL, NULL);
}
