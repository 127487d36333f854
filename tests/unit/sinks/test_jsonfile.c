// SPDX-License-Identifier: MIT
/* The growing JSON log in ordinary life; test_jsonfile_trouble.c has full disks and kills. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "jsoncheck.h"
#include "sinks/jsonfile.h"

struct fixture {
	struct tmpdir dir;
	bool in_place;
	struct jsonfile *f;
	char note[256];
};

static void set_up(struct fixture *x, bool in_place)
{
	*x = (struct fixture) { .dir = tmpdir_make(), .in_place = in_place };
}

static void tear_down(struct fixture *x)
{
	jsonfile_close(x->f);
	tmpdir_remove(&x->dir);
}

static int try_open(struct fixture *x, char bracket)
{
	int r;

	jsonfile_close(x->f);
	x->f = NULL;
	r = jsonfile_open(&x->f, x->dir.path, "CPU", bracket, x->note, sizeof(x->note));
	if (r == 0 && x->in_place)
		jsonfile_force_in_place(x->f);
	return r;
}

static void open_log(struct fixture *x, char bracket)
{
	if (try_open(x, bracket) != 0)
		fail_msg("%s", x->note);
}

/* Entry number i: its key is "i", so that the order can be checked. */
static void add(struct fixture *x, int i)
{
	char key[32], entry[64];

	snprintf(key, sizeof(key), "2023-08-25 05:50:59.%06d", i);
	snprintf(entry, sizeof(entry), "\"%s\": [%d.5, \"7\"]", key, i);
	assert_true(jsonfile_add(x->f, key, entry, strlen(entry)));
}

static void flush(struct fixture *x)
{
	assert_int_equal(jsonfile_flush(x->f), 0);
	assert_int_equal(jsonfile_waiting(x->f), 0);
}

/* The file is JSON and has the entries first .. last, in this order. */
static void expect_file(const struct fixture *x, const char *name, int first, int last)
{
	size_t n, at = 0;
	char *text = file_get(x->dir.path, name, &n);
	char expected[8192];

	if (!text)
		fail_msg("there is no %s", name);
	if (json_wrong(text, n))
		fail_msg("%s: %s: %s", name, json_wrong(text, n), text);
	expected[at++] = '{';
	for (int i = first; i <= last; i++)
		at += (size_t) snprintf(expected + at, sizeof(expected) - at,
			"%s\"2023-08-25 05:50:59.%06d\": [%d.5, \"7\"]", i > first ? ", " : "", i,
			i);
	snprintf(expected + at, sizeof(expected) - at, "}\n");
	assert_string_equal(text, expected);
	free(text);
}

static void expect_log(const struct fixture *x, int first, int last)
{
	expect_file(x, "CPU.json", first, last);
}

/* ---- making, adding, continuing --------------------------------------------------------- */

static void check_grow(struct fixture *x)
{
	open_log(x, '{');
	assert_string_equal(x->note, "");
	assert_string_equal(jsonfile_last_key(x->f), "");
	expect_log(x, 0, -1);
	flush(x);
	expect_log(x, 0, -1);
	add(x, 0);
	assert_int_equal(jsonfile_waiting(x->f), 1);
	expect_log(x, 0, -1);
	flush(x);
	expect_log(x, 0, 0);
	assert_string_equal(jsonfile_last_key(x->f), "2023-08-25 05:50:59.000000");
	for (int i = 1; i < 40; i++) {
		add(x, i);
		if (i % 3 == 0) {
			struct stat st;
			char path[PATH_SIZE];

			flush(x);
			expect_log(x, 0, i);
			assert_int_equal(stat(path_in(x->dir.path, "CPU.json", path), &st), 0);
			assert_int_equal(jsonfile_size(x->f), st.st_size);
		}
	}
	assert_int_equal(jsonfile_sync(x->f), 0);
	/* Continued by the next run. */
	open_log(x, '{');
	assert_string_equal(x->note, "");
	assert_string_equal(jsonfile_last_key(x->f), "2023-08-25 05:50:59.000039");
	expect_log(x, 0, 39);
	add(x, 40);
	add(x, 41);
	flush(x);
	expect_log(x, 0, 41);
	assert_int_equal(jsonfile_lost(x->f), 0);
	jsonfile_close(x->f);
	x->f = NULL;
	/* Nothing else stays behind. */
	assert_int_equal(dir_count(x->dir.path), 1);
}

static void test_grow(void **state)
{
	struct fixture x;

	(void) state;
	set_up(&x, false);
	check_grow(&x);
	tear_down(&x);
	set_up(&x, true);
	check_grow(&x);
	tear_down(&x);
}

static void test_list(void **state)
{
	struct fixture x;
	char *text;

	(void) state;
	set_up(&x, false);
	open_log(&x, '[');
	assert_true(jsonfile_add(x.f, "a", "{\"a\": []}", 9));
	assert_true(jsonfile_add(x.f, "b", "{\"b\": []}", 9));
	flush(&x);
	open_log(&x, '[');
	assert_string_equal(jsonfile_last_key(x.f), "b");
	assert_true(jsonfile_add(x.f, "c", "{\"c\": []}", 9));
	flush(&x);
	text = file_get(x.dir.path, "CPU.json", NULL);
	assert_string_equal(text, "[{\"a\": []},\n{\"b\": []},\n{\"c\": []}]\n");
	free(text);
	tear_down(&x);
}

/* Closing does not flush: what waits is gone, and the file is whole. */
static void test_close_without_flush(void **state)
{
	struct fixture x;

	(void) state;
	set_up(&x, false);
	open_log(&x, '{');
	add(&x, 0);
	flush(&x);
	add(&x, 1);
	open_log(&x, '{');
	expect_log(&x, 0, 0);
	tear_down(&x);
	jsonfile_close(NULL);
}

/* Other names in the directory are the log's alone, and hidden. */
static void test_twin_is_hidden(void **state)
{
	struct fixture x;

	(void) state;
	set_up(&x, false);
	open_log(&x, '{');
	for (int i = 0; i < 10; i++) {
		add(&x, i);
		flush(&x);
		assert_int_equal(dir_count(x.dir.path), 2);
		assert_true(file_exists(x.dir.path, i % 2 ? ".CPU.json.0" : ".CPU.json.1"));
	}
	tear_down(&x);
}

/* Whoever opened the log may read on undisturbed until the next change but one. */
static void test_readers_are_left_alone(void **state)
{
	struct fixture x;
	char path[PATH_SIZE], before[1024], after[1024];

	(void) state;
	set_up(&x, false);
	open_log(&x, '{');
	for (int i = 0; i < 10; i++) {
		ssize_t n;
		int fd;

		add(&x, 2 * i);
		flush(&x);
		fd = open(path_in(x.dir.path, "CPU.json", path), O_RDONLY);
		n = pread(fd, before, sizeof(before), 0);
		assert_true(n > 0);
		add(&x, 2 * i + 1);
		flush(&x);
		assert_int_equal(pread(fd, after, sizeof(after), 0), n);
		assert_memory_equal(before, after, (size_t) n);
		close(fd);
	}
	expect_log(&x, 0, 19);
	tear_down(&x);
}

/* What an earlier run left when it was killed does no harm and goes away. */
static void test_left_behind(void **state)
{
	struct fixture x;

	(void) state;
	set_up(&x, false);
	file_put(x.dir.path, ".CPU.json.0", "{\"half");
	file_put(x.dir.path, ".CPU.json.1", "rubbish");
	file_put(x.dir.path, "CPU.json", "{\"2023-08-25 05:50:59.000000\": [0.5, \"7\"]}\n");
	open_log(&x, '{');
	assert_string_equal(x.note, "");
	add(&x, 1);
	flush(&x);
	expect_log(&x, 0, 1);
	/* Somebody clears up while it is in use. */
	file_remove(x.dir.path, ".CPU.json.1");
	add(&x, 2);
	flush(&x);
	expect_log(&x, 0, 2);
	file_put(x.dir.path, ".CPU.json.0", "rubbish");
	file_put(x.dir.path, ".CPU.json.1", "rubbish");
	for (int i = 3; i < 8; i++) {
		add(&x, i);
		flush(&x);
		expect_log(&x, 0, i);
	}
	jsonfile_close(x.f);
	x.f = NULL;
	assert_int_equal(dir_count(x.dir.path), 1);
	tear_down(&x);
}

/* ---- logs that are damaged or no logs --------------------------------------------------- */

static void test_torn_anywhere(void **state)
{
	static const char whole[] = "{\"2023-08-25 05:50:59.000000\": [0.5, \"7\"], "
				    "\"2023-08-25 05:50:59.000001\": [1.5, \"7\"], "
				    "\"2023-08-25 05:50:59.000002\": [2.5, \"7\"]}\n";
	const size_t n = sizeof(whole) - 1, entry = 40;

	(void) state;
	for (size_t cut = 1; cut <= n; cut++) {
		int have = cut < 1 + entry        ? 0
			: cut < 1 + 2 * entry + 2 ? 1
			: cut < 1 + 3 * entry + 4 ? 2
						  : 3;
		bool sound = cut >= n - 1; /* but for the newline at the end */
		struct fixture x;

		set_up(&x, cut % 2);
		file_put_bytes(x.dir.path, "CPU.json", whole, cut);
		open_log(&x, '{');
		if (sound == (x.note[0] != '\0'))
			fail_msg("cut at %zu: %s", cut, x.note);
		if (!sound) {
			size_t kept;
			char *torn = file_get(x.dir.path, "CPU.torn.json", &kept);

			assert_non_null(torn);
			assert_int_equal(kept, cut);
			assert_memory_equal(torn, whole, cut);
			assert_non_null(strstr(x.note, "CPU.torn.json"));
			free(torn);
			expect_log(&x, 0, have - 1);
		}
		add(&x, have);
		flush(&x);
		expect_log(&x, 0, have);
		tear_down(&x);
	}
}

static void test_foreign(void **state)
{
	static const char *const texts[] = { "[]\n", "hello", "\n", "null" };
	struct fixture x;
	char *kept;

	(void) state;
	for (size_t i = 0; i < 4; i++) {
		set_up(&x, false);
		/* An earlier one is not overwritten. */
		file_put(x.dir.path, "CPU.torn.json", "the first");
		file_put(x.dir.path, "CPU.json", texts[i]);
		open_log(&x, '{');
		assert_true(x.note[0] != '\0');
		add(&x, 0);
		flush(&x);
		expect_log(&x, 0, 0);
		kept = file_get(x.dir.path, "CPU.torn.json", NULL);
		assert_string_equal(kept, "the first");
		free(kept);
		kept = file_get(x.dir.path, "CPU.torn.1.json", NULL);
		assert_string_equal(kept, texts[i]);
		free(kept);
		tear_down(&x);
	}
}

/* An empty file holds nothing that could be kept. */
static void test_empty(void **state)
{
	struct fixture x;

	(void) state;
	set_up(&x, false);
	file_put(x.dir.path, "CPU.json", "");
	open_log(&x, '{');
	expect_log(&x, 0, -1);
	add(&x, 0);
	flush(&x);
	expect_log(&x, 0, 0);
	jsonfile_close(x.f);
	x.f = NULL;
	assert_int_equal(dir_count(x.dir.path), 1);
	tear_down(&x);
}

/* Of a long log only the end is looked at; torn, it is copied up to its last whole entry. */
static void test_long(void **state)
{
	const int n = 6000; /* 250 KB */
	struct fixture x;
	char *text;
	size_t size;

	(void) state;
	set_up(&x, false);
	open_log(&x, '{');
	for (int i = 0; i < n; i++)
		add(&x, i);
	flush(&x);
	open_log(&x, '{');
	assert_string_equal(x.note, "");
	assert_string_equal(jsonfile_last_key(x.f), "2023-08-25 05:50:59.005999");
	jsonfile_close(x.f);
	x.f = NULL;
	text = file_get(x.dir.path, "CPU.json", &size);
	assert_int_equal(json_count(text, size), n);
	file_put_bytes(x.dir.path, "CPU.json", text, size - 10);
	free(text);
	open_log(&x, '{');
	assert_true(x.note[0] != '\0');
	assert_string_equal(jsonfile_last_key(x.f), "2023-08-25 05:50:59.005998");
	add(&x, n - 1);
	add(&x, n);
	flush(&x);
	text = file_get(x.dir.path, "CPU.json", &size);
	assert_null(json_wrong(text, size));
	assert_int_equal(json_count(text, size), n + 1);
	free(text);
	/* A long file that is something else altogether. */
	text = malloc(300000);
	memset(text, 'x', 300000);
	file_put_bytes(x.dir.path, "CPU.json", text, 300000);
	free(text);
	open_log(&x, '{');
	assert_true(x.note[0] != '\0');
	expect_log(&x, 0, -1);
	tear_down(&x);
}

static void test_cannot_open(void **state)
{
	struct fixture x;
	char path[PATH_SIZE];

	(void) state;
	set_up(&x, false);
	dir_put(x.dir.path, "CPU.json");
	assert_int_equal(try_open(&x, '{'), -EISDIR);
	assert_non_null(strstr(x.note, "CPU.json"));
	assert_int_equal(rmdir(path_in(x.dir.path, "CPU.json", path)), 0);
	link_put(x.dir.path, "CPU.json", "elsewhere");
	assert_int_equal(try_open(&x, '{'), -ELOOP);
	file_remove(x.dir.path, "CPU.json");
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(try_open(&x, '{'), -EISNAM);
	file_remove(x.dir.path, "CPU.json");
	assert_int_equal(
		jsonfile_open(&x.f, "/nonexistent/directory", "CPU", '{', x.note, sizeof(x.note)),
		-ENOENT);
	assert_non_null(strstr(x.note, "/nonexistent/directory"));
	x.f = NULL;
	/* Nothing of all that left anything behind. */
	assert_int_equal(dir_count(x.dir.path), 0);
	tear_down(&x);
}

/* ---- turning over and taking away ------------------------------------------------------- */

static void check_turn_over(struct fixture *x)
{
	open_log(x, '{');
	/* There is nothing to turn over. */
	assert_int_equal(jsonfile_turn_over(x->f), 0);
	expect_log(x, 0, -1);
	add(x, 0);
	flush(x);
	add(x, 1); /* goes into the old file */
	assert_int_equal(jsonfile_turn_over(x->f), 0);
	expect_file(x, "CPU.2023-08-25 05:50:59.000001.json", 0, 1);
	expect_log(x, 0, -1);
	assert_string_equal(jsonfile_last_key(x->f), "");
	add(x, 2);
	flush(x);
	expect_log(x, 2, 2);
	expect_file(x, "CPU.2023-08-25 05:50:59.000001.json", 0, 1);
	/* The clock was set back, and the same key comes again. */
	assert_int_equal(jsonfile_turn_over(x->f), 0);
	add(x, 2);
	assert_int_equal(jsonfile_turn_over(x->f), 0);
	expect_file(x, "CPU.2023-08-25 05:50:59.000002.json", 2, 2);
	expect_file(x, "CPU.2023-08-25 05:50:59.000002.1.json", 2, 2);
	expect_log(x, 0, -1);
	/* A key with a slash makes no path. */
	assert_true(jsonfile_add(x->f, "../a/b", "\"../a/b\": 1", 11));
	assert_int_equal(jsonfile_turn_over(x->f), 0);
	assert_true(file_exists(x->dir.path, "CPU..._a_b.json"));
}

static void test_turn_over(void **state)
{
	struct fixture x;

	(void) state;
	set_up(&x, false);
	check_turn_over(&x);
	tear_down(&x);
	set_up(&x, true);
	check_turn_over(&x);
	tear_down(&x);
}

static void rename_in(const struct fixture *x, const char *from, const char *to)
{
	char a[PATH_SIZE], b[PATH_SIZE];

	assert_int_equal(rename(path_in(x->dir.path, from, a), path_in(x->dir.path, to, b)), 0);
}

static void check_moved(struct fixture *x, bool reopen)
{
	open_log(x, '{');
	for (int i = 0; i < 4; i++) {
		add(x, i);
		flush(x);
	}
	rename_in(x, "CPU.json", "CPU.old");
	add(x, 4);
	if (reopen) {
		assert_int_equal(jsonfile_reopen(x->f), 0);
		expect_log(x, 0, -1);
	}
	for (int i = 5; i < 9; i++) {
		flush(x);
		expect_log(x, 4, i - 1);
		add(x, i);
	}
	expect_file(x, "CPU.old", 0, 3);
	/* Removed, with nothing waiting and with something. */
	flush(x);
	file_remove(x->dir.path, "CPU.json");
	if (reopen)
		assert_int_equal(jsonfile_reopen(x->f), 0);
	add(x, 9);
	flush(x);
	expect_log(x, 9, 9);
	/* Where nothing happened, nothing happens. */
	assert_int_equal(jsonfile_reopen(x->f), 0);
	add(x, 10);
	assert_int_equal(jsonfile_reopen(x->f), 0);
	flush(x);
	expect_log(x, 9, 10);
	expect_file(x, "CPU.old", 0, 3);
}

static void test_moved_or_removed(void **state)
{
	(void) state;
	for (int i = 0; i < 4; i++) {
		struct fixture x;

		set_up(&x, i & 1);
		check_moved(&x, i & 2);
		tear_down(&x);
	}
}

/* Another file took the log's place: an editor saved it, it was rotated and made anew, it was
 * copied back. A log is gone on with, anything else is put aside, and at no time does the name stand
 * for something that is no log. */
static void check_replaced(struct fixture *x, bool reopen)
{
	static const struct {
		const char *text;
		int first, last; /* the entries in it */
		const char *aside;
	} cases[] = {
		{ "{\"2023-08-25 05:50:59.000000\": [0.5, \"7\"]}\n", 0, 0, NULL },
		{ "{}", 2, 1, NULL },
		{ "", 2, 1, NULL },
		{ "no log at all", 2, 1, "no log at all" },
		{ "{\"2023-08-25 05:50:59.000001\": [1.5, \"7\"], \"2023", 1, 1,
			"{\"2023-08-25 05:50:59.000001\": [1.5, \"7\"], \"2023" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int first = cases[i].first;

		open_log(x, '{');
		add(x, 0);
		flush(x);
		add(x, 1);
		flush(x);
		file_put(x->dir.path, "new", cases[i].text);
		rename_in(x, "new", "CPU.json");
		if (reopen)
			assert_int_equal(jsonfile_reopen(x->f), 0);
		/* For the log with one entry only: the numbers must go on without a hole. */
		for (int k = cases[i].last + 1; k < 7; k++) {
			add(x, k);
			flush(x);
			expect_log(x, first, k);
		}
		if (cases[i].aside) {
			char *kept = file_get(x->dir.path, "CPU.torn.json", NULL);

			assert_non_null(kept);
			assert_string_equal(kept, cases[i].aside);
			free(kept);
			file_remove(x->dir.path, "CPU.torn.json");
		}
		jsonfile_close(x->f);
		x->f = NULL;
		file_remove(x->dir.path, "CPU.json");
		assert_int_equal(dir_count(x->dir.path), 0);
	}
}

static void test_replaced(void **state)
{
	(void) state;
	for (int i = 0; i < 4; i++) {
		struct fixture x;

		set_up(&x, i & 1);
		check_replaced(&x, i & 2);
		tear_down(&x);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grow),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_close_without_flush),
		cmocka_unit_test(test_twin_is_hidden),
		cmocka_unit_test(test_readers_are_left_alone),
		cmocka_unit_test(test_left_behind),
		cmocka_unit_test(test_torn_anywhere),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_cannot_open),
		cmocka_unit_test(test_turn_over),
		cmocka_unit_test(test_moved_or_removed),
		cmocka_unit_test(test_replaced),
	};

	return cmocka_run_group_tests_name("jsonfile", tests, NULL, NULL);
}
