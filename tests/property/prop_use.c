// SPDX-License-Identifier: MIT
/*
 * A GPU's energy that goes by who used it: whatever a sensor says of that, and whenever, the parts add
 * up to the domain's energy in whole microjoules, and nobody gets what is not there.
 */
#include "test.h"

#include <inttypes.h>
#include <string.h>

#include "books/account.h"
#include "machine/clock.h"
#include "machine.h"
#include "random.h"
#include "sums.h"

#define N_TARGETS 6

static void look(struct machine *m, struct rng *r, size_t d, bool odd)
{
	uint64_t left_ppm = 1000000;

	m->readings[d].looked_ns = rng_one_in(r, 10) ? 0 : m->t_ns;
	m->readings[d].busy_ppm = (uint32_t) rng_below(r, 1000001);
	for (uint32_t slot = 0; slot < N_TARGETS; slot++) {
		uint64_t ppm = rng_below(r, odd ? 2000000 : left_ppm + 1);

		machine_target(m, slot)->used_ppm[d] = (uint32_t) ppm;
		left_ppm -= odd ? 0 : ppm;
	}
}

static void check_case(uint64_t seed, uint64_t number)
{
	struct rng r = rng_make(seed, number);
	struct sums sums = { .seed = seed, .number = number };
	const struct account_options options = { .tick_ns = 4 * NS_PER_MS,
		.idle = rng_one_in(&r, 2) ? IDLE_SEPARATE : IDLE_PROPORTIONAL };
	const struct account_watcher watcher = { .slice = sums_slice, .ctx = &sums };
	bool odd = rng_one_in(&r, 2);
	uint64_t drawn_uj[2] = { 0 }, begun_ns;
	static struct machine m;
	struct account_mark *marks[N_TARGETS];
	struct account *a;

	machine_init(&m);
	for (size_t d = 0; d < 2; d++) {
		machine_add_domain(&m, "gpu", KIND_GPU);
		m.domains[d].tells_users = true;
	}
	assert_int_equal(account_create(&a, m.list, m.n_domains, &options, &watcher), 0);
	for (uint32_t slot = 0; slot < N_TARGETS; slot++) {
		assert_int_equal(account_add_target(a, slot), 0);
		machine_add_target(&m, slot);
	}
	begun_ns = m.t_ns;
	account_enter(a, machine_snapshot(&m, SNAPSHOT_FIRST));
	for (uint32_t slot = 0; slot < N_TARGETS; slot++)
		marks[slot] = account_mark_new(a, slot);
	for (int step = 0; step < 100; step++) {
		uint64_t ns = rng_between(&r, 1, 200 * NS_PER_MS);

		machine_pass(&m, ns, rng_below(&r, ns));
		for (size_t d = 0; d < 2; d++) {
			uint64_t uj = rng_below(&r, ns / 2 + 2);

			machine_draw(&m, d, uj);
			drawn_uj[d] += uj;
			if (rng_one_in(&r, 5))
				look(&m, &r, d, odd);
		}
		account_enter(a, machine_snapshot(&m, 0));
		if (rng_one_in(&r, 20))
			account_settle_uses(a);
	}
	account_settle_uses(a);
	for (size_t d = 0; d < 2; d++) {
		if (sums.total_uj[d] != drawn_uj[d] || sums.ns[d] != m.t_ns - begun_ns)
			fail_msg("seed %" PRIu64 ", case %" PRIu64 ": %" PRIu64
				 " uJ were drawn and %" PRIu64 " told",
				seed, number, drawn_uj[d], sums.total_uj[d]);
		for (uint32_t slot = 0; slot < N_TARGETS; slot++) {
			struct span span;

			account_domain_since(a, marks[slot], slot, d, &span);
			assert_int_equal(span.energy.uj, sums.targets_uj[slot][d]);
		}
	}
	for (uint32_t slot = 0; slot < N_TARGETS; slot++)
		account_mark_free(marks[slot]);
	account_destroy(a);
}

static void test_use(void **state)
{
	uint64_t seed = rng_seed();

	(void) state;
	for (uint64_t i = 0; i < rng_cases(500); i++)
		check_case(seed, i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_use),
	};

	return cmocka_run_group_tests_name("prop_use", tests, NULL, NULL);
}
