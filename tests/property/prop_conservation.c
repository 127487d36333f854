// SPDX-License-Identifier: MIT
/*
 * Nothing is lost and nothing is made: in each interval of each domain the targets' parts and the
 * rest add up to what the domain used, in whole microjoules; and a snapshot that never comes, or
 * a reading that fails, costs resolution and no energy.
 */
#include "test.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "books/account.h"
#include "machine/clock.h"
#include "machine.h"
#include "random.h"
#include "sums.h"

#define MAX_SLOTS 12

/* One machine and its story, told to any number of books. */
struct story {
	struct machine m;
	struct rng r;
	bool alive[MAX_SLOTS];
	uint64_t drawn_uj[MACHINE_DOMAINS]; /* since the first snapshot */
};

static void begin_story(struct story *s, struct rng r)
{
	static const enum kind kinds[] = { KIND_CPU, KIND_DRAM, KIND_CPU, KIND_GPU, KIND_PLATFORM };

	memset(s, 0, sizeof(*s));
	s->r = r;
	machine_init(&s->m);
	s->m.n_cpu = (uint32_t) rng_between(&s->r, 1, 16);
	for (size_t i = rng_between(&s->r, 1, 5); i > 0; i--)
		machine_add_domain(&s->m, "d", kinds[i - 1]);
}

/* Some time goes by. Targets may claim more than there is, and the idle columns may say anything. */
static void go_on(struct story *s)
{
	uint64_t ns = rng_one_in(&s->r, 3) ? rng_between(&s->r, 1, 5 * NS_PER_MS)
					   : rng_between(&s->r, 1, NS_PER_S);
	uint64_t capacity_ns = ns * s->m.n_cpu;

	machine_pass(&s->m, ns, rng_below(&s->r, capacity_ns + capacity_ns / 4 + 1));
	for (size_t d = 0; d < s->m.n_domains; d++) {
		uint64_t uj = rng_one_in(&s->r, 6) ? 0 : rng_below(&s->r, ns / 4 + 2); /* 250 W */

		machine_draw(&s->m, d, uj);
		s->drawn_uj[d] += uj;
	}
	for (uint32_t slot = 0; slot < MAX_SLOTS; slot++)
		if (s->alive[slot])
			machine_use(&s->m, slot, rng_below(&s->r, capacity_ns / 3 + 1));
}

static void enter(struct account *a, struct story *s, unsigned flags)
{
	account_enter(a, machine_snapshot(&s->m, flags));
}

static struct account *open_books(const struct story *s, enum idle_policy idle, struct sums *sums)
{
	const struct account_options options = { .idle = idle, .tick_ns = 4 * NS_PER_MS };
	const struct account_watcher watcher = { .slice = sums_slice, .ctx = sums };
	struct account *a;

	assert_int_equal(account_create(&a, s->m.list, s->m.n_domains, &options, &watcher), 0);
	return a;
}

static void come_and_go(struct story *s, struct account *a)
{
	uint32_t slot = (uint32_t) rng_below(&s->r, MAX_SLOTS);

	s->alive[slot] = !s->alive[slot];
	if (s->alive[slot]) {
		assert_int_equal(account_add_target(a, slot), 0);
		machine_add_target(&s->m, slot);
	} else {
		account_drop_target(a, slot);
		machine_drop_target(&s->m, slot);
	}
}

static void check_conserved(uint64_t seed, uint64_t number)
{
	struct sums sums = { .seed = seed, .number = number };
	struct story s;
	struct account *a;
	struct account_mark *begin;
	enum idle_policy idle;

	begin_story(&s, rng_make(seed, number));
	idle = rng_one_in(&s.r, 2) ? IDLE_SEPARATE : IDLE_PROPORTIONAL;
	a = open_books(&s, idle, &sums);
	enter(a, &s, SNAPSHOT_FIRST | SNAPSHOT_EDGE);
	begin = account_mark_new(a, ACCOUNT_NO_SLOT);
	for (int i = 0; i < 150; i++) {
		if (rng_one_in(&s.r, 5))
			come_and_go(&s, a);
		go_on(&s);
		enter(a, &s, rng_one_in(&s.r, 4) ? SNAPSHOT_EDGE : 0);
		for (size_t d = 0; d < s.m.n_domains; d++) {
			struct span span;

			account_domain_since(a, begin, ACCOUNT_NO_SLOT, d, &span);
			if (sums.total_uj[d] != s.drawn_uj[d] || span.energy.uj != s.drawn_uj[d])
				fail_msg("seed %" PRIu64 ", case %" PRIu64 ", step %d: %" PRIu64
					 " uJ were used, %" PRIu64 " are in the books",
					seed, number, i, s.drawn_uj[d], span.energy.uj);
		}
	}
	/* Idle and other are all that the targets did not get. */
	for (int k = 0; k < KIND_COUNT; k++) {
		uint64_t idle_uj, other_uj, rest_uj = 0;

		account_rest_since(a, begin, (enum kind) k, &idle_uj, &other_uj);
		for (size_t d = 0; d < s.m.n_domains; d++) {
			if ((int) s.m.domains[d].kind != k)
				continue;
			rest_uj += s.drawn_uj[d];
			for (uint32_t slot = 0; slot < MAX_SLOTS; slot++)
				rest_uj -= sums.targets_uj[slot][d];
		}
		if (idle_uj + other_uj != rest_uj)
			fail_msg("seed %" PRIu64 ", case %" PRIu64 ": idle %" PRIu64
				 " and other %" PRIu64 " are not %" PRIu64,
				seed, number, idle_uj, other_uj, rest_uj);
	}
	account_mark_free(begin);
	account_destroy(a);
}

static void test_conservation(void **state)
{
	uint64_t seed = rng_seed();

	(void) state;
	for (uint64_t i = 0; i < rng_cases(400); i++)
		check_conserved(seed, i);
}

/* ---- loss ------------------------------------------------------------------------------- */

/* The same story for books that see all of it, and for some that miss snapshots and readings. */
static void check_loss(uint64_t seed, uint64_t number)
{
	struct sums all = { .seed = seed, .number = number }, few = all;
	struct account *sees_all, *sees_few;
	struct story s;

	begin_story(&s, rng_make(seed, number));
	sees_all = open_books(&s, IDLE_SEPARATE, &all);
	sees_few = open_books(&s, IDLE_SEPARATE, &few);
	for (uint32_t slot = 0; slot < 3; slot++) {
		s.alive[slot] = true;
		assert_int_equal(account_add_target(sees_all, slot), 0);
		assert_int_equal(account_add_target(sees_few, slot), 0);
		machine_add_target(&s.m, slot);
	}
	enter(sees_all, &s, SNAPSHOT_FIRST);
	enter(sees_few, &s, SNAPSHOT_FIRST);
	for (int i = 0; i < 120; i++) {
		bool last = i == 119, failing = !last && rng_one_in(&s.r, 4);
		size_t broken = rng_below(&s.r, s.m.n_domains);

		go_on(&s);
		enter(sees_all, &s, 0);
		if (!last && rng_one_in(&s.r, 3))
			continue; /* this one was dropped */
		if (failing)
			s.m.readings[broken].error = -EIO;
		enter(sees_few, &s, 0);
		s.m.readings[broken].error = 0;
	}
	for (size_t d = 0; d < s.m.n_domains; d++)
		if (all.total_uj[d] != s.drawn_uj[d] || few.total_uj[d] != s.drawn_uj[d])
			fail_msg("seed %" PRIu64 ", case %" PRIu64 ": of %" PRIu64
				 " uJ there are %" PRIu64 " and %" PRIu64,
				seed, number, s.drawn_uj[d], all.total_uj[d], few.total_uj[d]);
	account_destroy(sees_all);
	account_destroy(sees_few);
}

static void test_loss(void **state)
{
	uint64_t seed = rng_seed();

	(void) state;
	for (uint64_t i = 0; i < rng_cases(400); i++)
		check_loss(seed, 1000000 + i);
}

/* At steady power it does not even matter to the targets which snapshots were missed. */
static void check_steady_loss(uint64_t seed, uint64_t number)
{
	struct sums all = { .seed = seed, .number = number }, few = all;
	struct account *sees_all, *sees_few;
	struct story s;
	uint64_t watts;

	begin_story(&s, rng_make(seed, number));
	watts = rng_between(&s.r, 1, 300);
	sees_all = open_books(&s, IDLE_SEPARATE, &all);
	sees_few = open_books(&s, IDLE_SEPARATE, &few);
	for (uint32_t slot = 0; slot < 3; slot++) {
		assert_int_equal(account_add_target(sees_all, slot), 0);
		assert_int_equal(account_add_target(sees_few, slot), 0);
		machine_add_target(&s.m, slot);
	}
	enter(sees_all, &s, SNAPSHOT_FIRST);
	enter(sees_few, &s, SNAPSHOT_FIRST);
	for (int i = 0; i < 100; i++) {
		uint64_t ns = 1000 * rng_between(&s.r, 1, 1000000);

		machine_pass(&s.m, ns, 0);
		for (size_t d = 0; d < s.m.n_domains; d++)
			machine_draw(&s.m, d, watts * ns / 1000);
		/* Together they never claim more than there is. */
		for (uint32_t slot = 0; slot < 3; slot++)
			machine_use(&s.m, slot, rng_below(&s.r, ns * s.m.n_cpu / 3 + 1));
		enter(sees_all, &s, 0);
		if (i == 99 || rng_one_in(&s.r, 3))
			enter(sees_few, &s, 0);
	}
	for (uint32_t slot = 0; slot < 3; slot++)
		for (size_t d = 0; d < s.m.n_domains; d++) {
			uint64_t a = all.targets_uj[slot][d], b = few.targets_uj[slot][d];

			if ((a > b ? a - b : b - a) > 1)
				fail_msg("seed %" PRIu64 ", case %" PRIu64
					 ": target %u got %" PRIu64 " or %" PRIu64 " uJ",
					seed, number, slot, a, b);
		}
	account_destroy(sees_all);
	account_destroy(sees_few);
}

static void test_steady_loss(void **state)
{
	uint64_t seed = rng_seed();

	(void) state;
	for (uint64_t i = 0; i < rng_cases(400); i++)
		check_steady_loss(seed, 2000000 + i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conservation),
		cmocka_unit_test(test_loss),
		cmocka_unit_test(test_steady_loss),
	};

	return cmocka_run_group_tests_name("prop_conservation", tests, NULL, NULL);
}
