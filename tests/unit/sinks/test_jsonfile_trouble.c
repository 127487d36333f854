// SPDX-License-Identifier: MIT
/*
 * The promise of the JSON log: it is a finished file whenever anybody opens it, and nothing is
 * lost but what was in flight. On full disks, without memory, killed, and read all the while.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.h"
#include "jsoncheck.h"
#include "random.h"
#include "sinks/jsonfile.h"
#include "wait.h"

static struct jsonfile *open_log(const char *dir, bool in_place)
{
	struct jsonfile *f;
	char note[256];

	if (jsonfile_open(&f, dir, "CPU", '{', note, sizeof(note)) != 0)
		fail_msg("%s", note);
	if (in_place)
		jsonfile_force_in_place(f);
	return f;
}

/* Entry number i, padded so that files fill up soon. */
static size_t print_entry(char *ret, size_t n, int i)
{
	return (size_t) snprintf(ret, n, "\"2023-08-25 05:50:59.%06d\": [%d, \"%064d\"]", i, i, i);
}

static bool add(struct jsonfile *f, int i)
{
	char key[32], entry[128];

	snprintf(key, sizeof(key), "2023-08-25 05:50:59.%06d", i);
	return jsonfile_add(f, key, entry, print_entry(entry, sizeof(entry), i));
}

/* The text must be JSON; returns how many entries it has, which must be the first ones. */
static int count_in(const char *text, size_t n, const char *when)
{
	long count = json_count(text, n);
	size_t at = 1;

	if (count < 0)
		fail_msg("%s: %s: ...%.200s", when, json_wrong(text, n),
			text + (n > 200 ? n - 200 : 0));
	for (int i = 0; i < count; i++) {
		char expected[128];
		size_t len = print_entry(expected, sizeof(expected), i);

		if (at + len > n || memcmp(text + at, expected, len) != 0)
			fail_msg("%s: %ld entries, but not number %d: %.100s", when, count, i,
				text + at);
		at += len + 2;
	}
	return (int) count;
}

static int count_entries(const char *dir, const char *when)
{
	size_t n;
	char *text = file_get(dir, "CPU.json", &n);
	int count;

	if (!text)
		fail_msg("%s: there is no CPU.json", when);
	count = count_in(text, n, when);
	free(text);
	return count;
}

/* ---- full disks ------------------------------------------------------------------------- */

static void limit_file_size(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Every possible place at which the room may end, within some entries. */
static void check_limit(bool in_place)
{
	for (rlim_t room = 3; room < 1200; room += in_place ? 3 : 7) {
		struct tmpdir dir = tmpdir_make();
		struct jsonfile *f = open_log(dir.path, in_place);
		char when[64];
		int n, written = 0;

		snprintf(when, sizeof(when), "room for %d bytes", (int) room);
		limit_file_size(room);
		for (n = 0; n < 12; n++) {
			int r;

			assert_true(add(f, n));
			r = jsonfile_flush(f);
			if (r < 0) {
				assert_int_equal(r, -EFBIG);
				assert_int_equal(jsonfile_waiting(f), n + 1 - written);
			} else {
				written = n + 1;
				assert_int_equal(jsonfile_waiting(f), 0);
			}
			if (count_entries(dir.path, when) != written)
				fail_msg("%s: not %d entries", when, written);
		}
		assert_int_equal(jsonfile_lost(f), 0);
		/* There is room again: all of it is written. */
		limit_file_size(RLIM_INFINITY);
		assert_int_equal(jsonfile_flush(f), 0);
		assert_int_equal(count_entries(dir.path, when), n);
		assert_true(add(f, n));
		assert_int_equal(jsonfile_flush(f), 0);
		assert_int_equal(count_entries(dir.path, when), n + 1);
		jsonfile_close(f);
		tmpdir_remove(&dir);
	}
}

static void test_limit(void **state)
{
	(void) state;
	check_limit(false);
	check_limit(true);
}

/* A turn-over for which there is no room changes nothing, however often it is tried. */
static void test_turn_over_without_room(void **state)
{
	(void) state;
	for (int in_place = 0; in_place < 2; in_place++) {
		struct tmpdir dir = tmpdir_make();
		struct jsonfile *f = open_log(dir.path, in_place);

		for (int i = 0; i < 3; i++)
			assert_true(add(f, i));
		assert_int_equal(jsonfile_flush(f), 0);
		limit_file_size(0);
		for (int i = 0; i < 5; i++)
			assert_int_equal(jsonfile_turn_over(f), -EFBIG);
		limit_file_size(RLIM_INFINITY);
		assert_int_equal(count_entries(dir.path, "turn-over"), 3);
		assert_int_equal(dir_count(dir.path), 1);
		assert_true(add(f, 3));
		assert_int_equal(jsonfile_flush(f), 0);
		assert_int_equal(count_entries(dir.path, "turn-over"), 4);
		assert_int_equal(jsonfile_turn_over(f), 0);
		assert_int_equal(count_entries(dir.path, "turn-over"), 0);
		jsonfile_close(f);
		tmpdir_remove(&dir);
	}
}

/* In a child with mounts of its own: a file system of 64 KiB that fills up and is cleared again.
 * Returns the line that went wrong, 0, or -1 where mounting is not allowed. */
static int fill_tmpfs(const char *dir, bool in_place)
{
#define CHECK(condition)                 \
	do {                             \
		if (!(condition))        \
			return __LINE__; \
	} while (0)
	struct jsonfile *f;
	char note[256];
	int n = 0, r;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("tmpfs", dir, "tmpfs", 0, "size=64k") < 0)
		return -1;
	CHECK(jsonfile_open(&f, dir, "CPU", '{', note, sizeof(note)) == 0);
	if (in_place)
		jsonfile_force_in_place(f);
	do
		CHECK(add(f, n++) && n < 1000);
	while ((r = jsonfile_flush(f)) == 0);
	CHECK(r == -ENOSPC);
	CHECK(count_entries(dir, "full") == n - 1);
	for (int i = 0; i < 5; i++) {
		CHECK(add(f, n++));
		CHECK(jsonfile_flush(f) == -ENOSPC);
		CHECK(count_entries(dir, "full") == n - 2 - i);
	}
	CHECK(jsonfile_waiting(f) == 6 && jsonfile_lost(f) == 0);
	CHECK(mount("tmpfs", dir, "tmpfs", MS_REMOUNT, "size=256k") == 0);
	CHECK(jsonfile_flush(f) == 0);
	CHECK(count_entries(dir, "room again") == n);
	jsonfile_close(f);
	CHECK(dir_count(dir) == 1);
	return 0;
}

static void test_full_file_system(void **state)
{
	(void) state;
	for (int in_place = 0; in_place < 2; in_place++) {
		struct tmpdir dir = tmpdir_make();
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			int line = fill_tmpfs(dir.path, in_place);

			if (line > 0)
				fprintf(stderr, "%s:%d\n", __FILE__, line);
			_exit(line > 0 ? 1 : line < 0 ? 2 : 0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		tmpdir_remove(&dir);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 2) {
			print_message("mounting is not allowed here\n");
			skip();
		}
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

/* ---- limits ----------------------------------------------------------------------------- */

/* While there is no room, lines wait up to a limit and are then counted as lost. */
static void test_waiting_limit(void **state)
{
	struct tmpdir dir = tmpdir_make();
	struct jsonfile *f = open_log(dir.path, false);
	int n = 0, kept;

	(void) state;
	limit_file_size(0);
	while (add(f, n))
		n++;
	kept = n;
	assert_int_equal(jsonfile_lost(f), 1);
	for (int i = 0; i < 9; i++)
		assert_false(add(f, n));
	assert_int_equal(jsonfile_lost(f), 10);
	assert_int_equal(jsonfile_waiting(f), kept);
	assert_in_range((uint64_t) kept * 100, JSONFILE_WAIT_MAX / 2, JSONFILE_WAIT_MAX);
	assert_int_equal(jsonfile_flush(f), -EFBIG);
	limit_file_size(RLIM_INFINITY);
	assert_int_equal(jsonfile_flush(f), 0);
	assert_int_equal(count_entries(dir.path, "after the limit"), kept);
	assert_true(add(f, kept));
	assert_int_equal(jsonfile_flush(f), 0);
	assert_int_equal(count_entries(dir.path, "after the limit"), kept + 1);
	jsonfile_close(f);
	tmpdir_remove(&dir);
}

/* ---- no memory -------------------------------------------------------------------------- */

/* The linker puts this in the place of realloc() in the code under test. */
void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);
static int reallocs_left = -1; /* below 0: as many as there are */

void *__wrap_realloc(void *p, size_t n)
{
	if (reallocs_left == 0)
		return NULL;
	if (reallocs_left > 0)
		reallocs_left--;
	return __real_realloc(p, n);
}

static void test_no_memory(void **state)
{
	(void) state;
	for (int left = 0; left < 6; left++) {
		struct tmpdir dir = tmpdir_make();
		struct jsonfile *f = open_log(dir.path, left % 2);
		int n = 0, taken = 0;

		for (int round = 0; round < 8; round++) {
			reallocs_left = round < 4 ? left : -1;
			/* Lost ones are counted; those that are taken have the next number. */
			for (n = 0; n < 3; n++)
				taken += add(f, taken);
			if (jsonfile_flush(f) == 0)
				assert_int_equal(count_entries(dir.path, "no memory"), taken);
			else
				assert_true(round < 4);
			count_entries(dir.path, "no memory");
		}
		reallocs_left = -1;
		assert_int_equal(jsonfile_waiting(f), 0);
		assert_int_equal(taken + (int) jsonfile_lost(f), 24);
		assert_in_range(taken, 12, 24);
		assert_int_equal(count_entries(dir.path, "no memory"), taken);
		jsonfile_close(f);
		tmpdir_remove(&dir);
	}
}

/* ---- kills and readers ------------------------------------------------------------------ */

struct shared {
	_Atomic int flushed; /* entries that a flush said are in the file */
	_Atomic bool stop;
};

static struct shared *share(void)
{
	struct shared *s = mmap(
		NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(s != MAP_FAILED);
	return s;
}

/* In a child: goes on with the log, as fast as it can or in steps. */
static void write_on(const char *dir, struct shared *shared, int from, bool in_steps)
{
	struct jsonfile *f = open_log(dir, false);

	for (int i = from; !shared->stop && i < 100000; i++) {
		if (!add(f, i) || jsonfile_flush(f) != 0)
			_exit(1);
		shared->flushed = i + 1;
		if (in_steps)
			wait_a_little();
	}
	jsonfile_close(f);
	_exit(0);
}

static bool has_flushed(void *ctx)
{
	const int *wanted = ((void **) ctx)[1];
	struct shared *shared = ((void **) ctx)[0];

	return shared->flushed >= *wanted;
}

/* One log that is killed so many times. */
static void kill_often(int kills, uint64_t seed, struct rng *r)
{
	struct tmpdir dir = tmpdir_make();
	struct shared *shared = share();
	int have = 0;

	for (int i = 0; i < kills; i++) {
		int wanted = have + 1 + (int) rng_below(r, 20), status, now;
		void *ctx[2] = { shared, &wanted };
		pid_t pid = fork();

		if (pid == 0)
			write_on(dir.path, shared, have, false);
		/* The kill lands anywhere in a write: the writer never pauses. */
		assert_true(wait_until(has_flushed, ctx));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		now = count_entries(dir.path, "killed");
		if (now < shared->flushed || now > shared->flushed + 1)
			fail_msg("seed %" PRIu64 ", kill %d: %d entries, %d were written", seed, i,
				now, shared->flushed);
		have = now;
		assert_false(file_exists(dir.path, "CPU.torn.json"));
	}
	munmap(shared, sizeof(*shared));
	tmpdir_remove(&dir);
}

/* A thousand kills (PM_KILLS where programs run slowly), each of which leaves a whole log without a
 * line less than was told. */
static void test_killed(void **state)
{
	const char *kills = getenv("PM_KILLS");
	uint64_t seed = rng_seed();
	struct rng r = rng_make(seed, 77);

	(void) state;
	for (int left = kills ? atoi(kills) : 1000; left > 0; left -= 50)
		kill_often(left < 50 ? left : 50, seed, &r);
}

/* Whoever opens the log sees a whole one, as long as he is done before the next change but one. */
static void test_read_meanwhile(void **state)
{
	struct tmpdir dir = tmpdir_make();
	struct shared *shared = share();
	int wanted = 1, status, last = 0, judged = 0;
	void *ctx[2] = { shared, &wanted };
	uint64_t deadline_ns = wait_deadline_ns();
	pid_t pid = fork();

	(void) state;
	if (pid == 0)
		write_on(dir.path, shared, 0, true);
	assert_true(wait_until(has_flushed, ctx));
	while (judged < 300 || last < 30) {
		int before = shared->flushed, now;
		size_t n;
		char *text = file_get(dir.path, "CPU.json", &n);

		if (!text)
			fail_msg("the log was gone for a moment");
		if (shared->flushed <= before + 1) {
			now = count_in(text, n, "read meanwhile");
			if (now < before || now < last)
				fail_msg("%d entries, but %d were written and %d read", now, before,
					last);
			last = now;
			judged++;
		}
		free(text);
		assert_true(wait_now_ns() < deadline_ns);
	}
	shared->stop = true;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	munmap(shared, sizeof(*shared));
	tmpdir_remove(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_turn_over_without_room),
		cmocka_unit_test(test_full_file_system),
		cmocka_unit_test(test_waiting_limit),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_read_meanwhile),
	};

	signal(SIGXFSZ, SIG_IGN); /* writing beyond the limit is then an error, as on a full disk */
	return cmocka_run_group_tests_name("jsonfile_trouble", tests, NULL, NULL);
}
