// SPDX-License-Identifier: MIT
/*
 * The channel through which phases come, with whatever somebody may have written into it.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <powermeasure_phase.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "child.h"
#include "machine/clock.h"
#include "phases/phase_channel.h"
#include "random.h"

struct taken {
	const struct phase_channel *channel;
	uint64_t from_ns;
	size_t n, begins, ends, gone;
	uint64_t seed;
	char last[64];
};

/* Whatever comes out is sound. */
static void take(void *ctx, const struct phase_marker *m)
{
	struct taken *t = ctx;

	t->n++;
	if (m->thread >= PHASES_MAX_THREADS ||
		(m->what != PHASE_GONE && m->name >= PHASES_MAX_NAMES) ||
		m->t_ns > clock_mono_ns(&clock_system) || m->t_ns < t->from_ns)
		fail_msg("PM_SEED=%" PRIu64 ": marker %d of thread %u, name %u, at %" PRIu64,
			t->seed, m->what, m->thread, m->name, m->t_ns);
	t->begins += m->what == PHASE_BEGIN;
	t->ends += m->what == PHASE_END;
	t->gone += m->what == PHASE_GONE;
	if (m->what != PHASE_GONE)
		snprintf(t->last, sizeof(t->last), "%s", phase_channel_name(t->channel, m->name));
}

static struct phase_channel *make(struct taken *t)
{
	struct phase_channel *c;
	char why[320];

	*t = (struct taken) { .from_ns = clock_mono_ns(&clock_system) };
	if (phase_channel_create(&c, NULL, getuid(), why, sizeof(why)) < 0)
		fail_msg("%s", why);
	t->channel = c;
	return c;
}

static void read_all(struct phase_channel *c, struct taken *t, bool last)
{
	phase_channel_read(c, t->from_ns, last, take, t);
}

static void mark_and_end(void *path)
{
	setenv("POWERMEASURE_PHASES", path, 1);
	for (int i = 0; i < 10; i++) {
		PM_PHASE("work");
	}
}

static void test_a_child_marks(void **state)
{
	struct phase_troubles troubles;
	struct taken t;
	struct phase_channel *c = make(&t);
	char path[256];
	struct stat st;

	(void) state;
	snprintf(path, sizeof(path), "%s", phase_channel_path(c));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	read_all(c, &t, false);
	assert_false(phase_channel_is_used(c));
	child_reap(child_start(mark_and_end, path));
	read_all(c, &t, true);
	assert_true(phase_channel_is_used(c));
	assert_int_equal(t.begins, 10);
	assert_int_equal(t.ends, 10);
	assert_string_equal(t.last, "work");
	phase_channel_troubles(c, &troubles);
	assert_int_equal(troubles.lost + troubles.rubbish + troubles.refused, 0);
	phase_channel_destroy(c);
	assert_int_equal(access(path, F_OK), -1);
}

static void write_at(const char *path, const void *data, size_t n, size_t at)
{
	int fd = open(path, O_WRONLY);

	assert_int_equal(pwrite(fd, data, n, (off_t) at), n);
	close(fd);
}

/* A slot and a ring as a program could have written them, with some of it random. */
static void spoil(struct rng *r, const char *path, const struct taken *t)
{
	static struct pm_phase_ring_ ring;
	struct pm_phase_head_ head;
	struct pm_phase_slot_ slot = { .claim = (uint64_t) getpid() << 32 | (uint32_t) getpid(),
		.claims = 1,
		.names = 3,
		.head = rng_below(r, 2 * PM_PHASE_RECORDS_) };
	size_t i = rng_below(r, PM_PHASE_RINGS_);
	int fd = open(path, O_RDONLY);

	assert_int_equal(pread(fd, &head, sizeof(head), 0), sizeof(head));
	close(fd);
	head.used = rng_one_in(r, 4) ? (uint32_t) rng_u64(r) : PM_PHASE_RINGS_;
	head.refused = rng_one_in(r, 4) ? (uint32_t) rng_u64(r) : 0;
	rng_bytes(r, &ring.names, sizeof(ring.names));
	for (uint32_t k = 0; k < PM_PHASE_RECORDS_; k++)
		ring.records[k] = (struct pm_phase_record_) {
			.t_ns = rng_one_in(r, 3) ? rng_u64(r)
						 : t->from_ns + rng_below(r, 1000000000),
			.name = rng_one_in(r, 9) ? (uint32_t) rng_u64(r)
						 : (rng_one_in(r, 2) ? PM_PHASE_END_ : 0) +
					(uint32_t) rng_below(r, 4),
			.number = rng_one_in(r, 9) ? (uint32_t) rng_u64(r) : k,
		};
	if (rng_one_in(r, 3))
		slot.head = rng_u64(r) >> rng_below(r, 64);
	if (rng_one_in(r, 3))
		slot.base = rng_u64(r) >> rng_below(r, 64);
	if (rng_one_in(r, 3))
		slot.names = (uint32_t) rng_u64(r);
	if (rng_one_in(r, 3))
		slot.claims = (uint32_t) rng_below(r, 3);
	if (rng_one_in(r, 3))
		slot.claim = rng_u64(r);
	if (rng_one_in(r, 3))
		slot.pid_ns = rng_u64(r);
	write_at(path, &head, sizeof(head), 0);
	write_at(path, &slot, sizeof(slot), PM_PHASE_SLOTS_AT_ + i * sizeof(slot));
	write_at(path, &ring, sizeof(ring), PM_PHASE_DATA_AT_ + i * sizeof(ring));
	if (rng_one_in(r, 20))
		assert_int_equal(truncate(path, (off_t) rng_below(r, PM_PHASE_BYTES_)), 0);
}

static void test_rubbish(void **state)
{
	uint64_t seed = rng_seed(), cases = rng_cases(30);

	(void) state;
	for (uint64_t i = 0; i < cases; i++) {
		struct rng r = rng_make(seed, i);
		struct taken t;
		struct phase_channel *c = make(&t);

		t.seed = seed;
		for (int k = 0; k < 12; k++) {
			spoil(&r, phase_channel_path(c), &t);
			read_all(c, &t, rng_one_in(&r, 4));
		}
		phase_channel_destroy(c);
	}
}

/* Somebody else's file in its place is left alone. */
static void test_only_its_own_file_is_removed(void **state)
{
	struct taken t;
	struct phase_channel *c = make(&t);
	char path[256];
	int fd;

	(void) state;
	snprintf(path, sizeof(path), "%s", phase_channel_path(c));
	assert_int_equal(unlink(path), 0);
	fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	phase_channel_destroy(c);
	assert_int_equal(unlink(path), 0);
}

static void test_names_that_are_in_use(void **state)
{
	struct phase_channel *c, *other;
	char path[64], why[320];

	(void) state;
	snprintf(path, sizeof(path), PHASE_CHANNEL_DIR "pm-unit-%d", (int) getpid());
	assert_int_equal(phase_channel_create(&c, path, getuid(), why, sizeof(why)), 0);
	assert_int_equal(phase_channel_create(&other, path, getuid(), why, sizeof(why)), -EBUSY);
	assert_non_null(strstr(why, "in use by pid"));
	phase_channel_destroy(c);
	assert_int_equal(symlink("/tmp/nowhere", path), 0);
	assert_int_equal(phase_channel_create(&c, path, getuid(), why, sizeof(why)), -EEXIST);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(phase_channel_create(&c, "/tmp/x", getuid(), why, sizeof(why)), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_child_marks),
		cmocka_unit_test(test_rubbish),
		cmocka_unit_test(test_only_its_own_file_is_removed),
		cmocka_unit_test(test_names_that_are_in_use),
	};

	return cmocka_run_group_tests_name("phase_channel", tests, NULL, NULL);
}
