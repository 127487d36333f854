// SPDX-License-Identifier: MIT
/*
 * Cutting adds up: wherever a span of time is cut, the parts have together what the whole has, for
 * the machine and for each target.
 */
#include "test.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "books/account.h"
#include "machine/clock.h"
#include "machine.h"
#include "random.h"

#define N_TARGETS 4
#define MAX_CUTS 8

/* One way to cut the time; everything is added up over its parts. */
struct cutting {
	struct account_mark *marks[N_TARGETS + 1]; /* the last is the machine's */
	uint64_t uj[N_TARGETS + 1][KIND_COUNT];
	uint64_t cpu_ns[N_TARGETS];
	uint64_t measured_ns[KIND_COUNT];
};

static uint32_t slot_of(size_t i)
{
	return i < N_TARGETS ? (uint32_t) i : ACCOUNT_NO_SLOT;
}

static void begin(struct cutting *c, struct account *a)
{
	memset(c, 0, sizeof(*c));
	for (size_t i = 0; i <= N_TARGETS; i++) {
		c->marks[i] = account_mark_new(a, slot_of(i));
		assert_non_null(c->marks[i]);
	}
}

static void cut(struct cutting *c, struct account *a)
{
	for (size_t i = 0; i <= N_TARGETS; i++) {
		for (int k = 0; k < KIND_COUNT; k++) {
			struct span span;

			account_since(a, c->marks[i], slot_of(i), (enum kind) k, &span);
			if (!span.known)
				continue;
			c->uj[i][k] += span.energy.uj;
			if (i == N_TARGETS)
				c->measured_ns[k] += span.interval_ns;
		}
		if (i < N_TARGETS)
			c->cpu_ns[i] += account_cpu_since(a, c->marks[i], slot_of(i));
		account_mark_renew(a, c->marks[i]);
	}
}

static void end(struct cutting *c)
{
	for (size_t i = 0; i <= N_TARGETS; i++)
		account_mark_free(c->marks[i]);
}

static void check_case(uint64_t seed, uint64_t number)
{
	static const enum kind kinds[] = { KIND_CPU, KIND_DRAM, KIND_GPU };
	const struct account_options options = { .tick_ns = 4 * NS_PER_MS };
	struct rng r = rng_make(seed, number);
	struct cutting whole, cuts[MAX_CUTS];
	static struct machine m;
	struct account *a;

	machine_init(&m);
	m.n_cpu = (uint32_t) rng_between(&r, 1, 8);
	for (size_t d = 0; d < 3; d++)
		machine_add_domain(&m, "d", kinds[d]);
	assert_int_equal(account_create(&a, m.list, m.n_domains, &options, NULL), 0);
	for (uint32_t slot = 0; slot < N_TARGETS; slot++) {
		assert_int_equal(account_add_target(a, slot), 0);
		machine_add_target(&m, slot);
	}
	account_enter(a, machine_snapshot(&m, SNAPSHOT_FIRST));
	begin(&whole, a);
	for (size_t i = 0; i < MAX_CUTS; i++)
		begin(&cuts[i], a);
	for (int step = 0; step < 100; step++) {
		uint64_t ns = rng_between(&r, 1, rng_one_in(&r, 2) ? NS_PER_S : 3 * NS_PER_MS);
		size_t broken = rng_below(&r, 10);

		machine_pass(&m, ns, rng_below(&r, ns * m.n_cpu + 1));
		for (size_t d = 0; d < m.n_domains; d++)
			machine_draw(&m, d, rng_below(&r, ns / 4 + 2));
		for (uint32_t slot = 0; slot < N_TARGETS; slot++)
			machine_use(&m, slot, rng_below(&r, ns * m.n_cpu / 3 + 1));
		/* Readings fail, and stand still; the cuts come all the same. */
		if (broken < m.n_domains)
			m.readings[broken].error = -EIO;
		account_enter(a, machine_snapshot(&m, 0));
		for (size_t d = 0; d < m.n_domains; d++)
			m.readings[d].error = 0;
		for (size_t i = 0; i < MAX_CUTS; i++)
			if (rng_one_in(&r, (unsigned) i + 1))
				cut(&cuts[i], a);
	}
	cut(&whole, a);
	for (size_t i = 0; i < MAX_CUTS; i++) {
		cut(&cuts[i], a);
		if (memcmp(cuts[i].uj, whole.uj, sizeof(whole.uj)) != 0 ||
			memcmp(cuts[i].cpu_ns, whole.cpu_ns, sizeof(whole.cpu_ns)) != 0 ||
			memcmp(cuts[i].measured_ns, whole.measured_ns, sizeof(whole.measured_ns)) !=
				0)
			fail_msg("seed %" PRIu64 ", case %" PRIu64 ": cut in %zu ways", seed,
				number, i);
		end(&cuts[i]);
	}
	end(&whole);
	account_destroy(a);
}

static void test_split(void **state)
{
	uint64_t seed = rng_seed();

	(void) state;
	for (uint64_t i = 0; i < rng_cases(500); i++)
		check_case(seed, i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),
	};

	return cmocka_run_group_tests_name("prop_split", tests, NULL, NULL);
}
