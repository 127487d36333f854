// SPDX-License-Identifier: MIT
/*
 * A counter that is updated at a steady pace, read where pace_next_ns() says: how well the updates
 * are located, and how many reads that takes.
 */
#include "test.h"

#include <inttypes.h>
#include <stdio.h>

#include "machine/clock.h"
#include "random.h"
#include "sensors/nvml/pace.h"

#define MAX_UPDATES 20000

struct counter {
	uint64_t updates[MAX_UPDATES]; /* when each of them was */
	size_t n;
};

struct plan {
	uint64_t period_ns;
	uint64_t believed_ns;  /* the pace as it is known at first */
	uint64_t jitter_ns;    /* each update is early or late by up to this */
	uint64_t late_ns;      /* each read is late by up to this ... */
	uint64_t very_late_ns; /* ... and one in two hundred by this */
};

/* What was seen after the counter was settled. */
struct outcome {
	uint64_t worst_ns;
	uint64_t sum_ns;
	size_t n_news;
	size_t n_reads;
	size_t n_outside; /* updates that were not within the error that was told */
};

static void make_counter(
	struct counter *c, const struct plan *p, struct rng *r, uint64_t from_ns, uint64_t to_ns)
{
	uint64_t phase_ns = rng_below(r, p->period_ns);

	for (uint64_t t_ns = from_ns + phase_ns; t_ns < to_ns && c->n < MAX_UPDATES;
		t_ns += p->period_ns)
		c->updates[c->n++] = t_ns + rng_below(r, 2 * p->jitter_ns + 1) - p->jitter_ns;
}

static size_t value_at(const struct counter *c, size_t known, uint64_t t_ns)
{
	while (known < c->n && c->updates[known] <= t_ns)
		known++;
	return known;
}

/* Reads from now_ns to end_ns; what happens before settled_ns does not count. Returns the time of
 * the last read. */
static uint64_t follow(struct pace *e, const struct counter *c, const struct plan *p, struct rng *r,
	uint64_t now_ns, uint64_t end_ns, uint64_t settled_ns, struct outcome *o)
{
	size_t value = 0;

	*o = (struct outcome) { 0 };
	while (now_ns < end_ns) {
		bool settled = now_ns >= settled_ns, news;
		uint64_t next_ns;

		value = value_at(c, value, now_ns);
		news = pace_step(e, value, now_ns);
		o->n_reads += settled;
		if (news && e->located && settled) {
			uint64_t truth_ns = c->updates[value - 1];
			uint64_t off_ns = e->at_ns > truth_ns ? e->at_ns - truth_ns
							      : truth_ns - e->at_ns;

			if (off_ns > o->worst_ns)
				o->worst_ns = off_ns;
			o->sum_ns += off_ns;
			o->n_news++;
			/* The time is that of a steady counter, from which two updates may differ.
			 */
			o->n_outside += off_ns > e->err_ns + 2 * p->jitter_ns + 300000;
		}
		next_ns = pace_next_ns(e, now_ns);
		assert_true(next_ns > now_ns);
		/* Never two periods without a look. */
		assert_in_range(next_ns - now_ns, 1, 2 * p->period_ns + 10 * NS_PER_MS);
		now_ns = next_ns + rng_below(r, p->late_ns + 1);
		if (p->very_late_ns && rng_one_in(r, 200))
			now_ns += rng_below(r, p->very_late_ns);
	}
	return now_ns;
}

static void check_outcome(
	const struct outcome *o, const struct plan *p, uint64_t seed, uint64_t span_ns)
{
	double periods = (double) span_ns / (double) p->period_ns;
	double reads = (double) o->n_reads / periods;
	uint64_t mean_ns = o->n_news ? o->sum_ns / o->n_news : 0;

	if ((double) o->n_news < 0.98 * periods || reads > 1.5 ||
		mean_ns > NS_PER_MS + p->jitter_ns ||
		o->worst_ns > 4 * NS_PER_MS + 2 * p->jitter_ns + p->very_late_ns ||
		(double) o->n_outside > 0.02 * (double) o->n_news)
		fail_msg("seed %" PRIu64 ", period %" PRIu64 " us (%" PRIu64
			 " us believed), jitter %" PRIu64
			 " us: %zu of %.0f updates seen, %.2f reads each, off by %" PRIu64
			 " us (mean), %" PRIu64 " us (worst), %zu outside",
			seed, p->period_ns / 1000, p->believed_ns / 1000, p->jitter_ns / 1000,
			o->n_news, periods, reads, mean_ns / 1000, o->worst_ns / 1000,
			o->n_outside);
}

static void test_paces(void **state)
{
	static const struct plan plans[] = {
		{ 100000000, 100000000, 0, 0, 0 },
		{ 20000000, 20000000, 100000, 100000, 0 },
		{ 100000000, 100000000, 300000, 200000, 0 },
		{ 100300000, 100000000, 300000, 200000, 0 },
		{ 104000000, 100000000, 300000, 200000, 0 },
		{ 96000000, 100000000, 300000, 200000, 0 },
		{ 110000000, 100000000, 300000, 200000, 0 },
		{ 95000000, 100000000, 300000, 200000, 0 },
		{ 21000000, 20000000, 100000, 100000, 0 },
		{ 19000000, 20000000, 100000, 100000, 0 },
		{ 100000000, 100000000, 1000000, 200000, 0 },
		{ 100000000, 99900000, 300000, 200000, 10000000 },
		{ 104000000, 103500000, 1000000, 500000, 10000000 },
	};
	uint64_t seed = rng_seed();
	static struct counter c;

	(void) state;
	for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
		for (uint64_t run = 0; run < 8; run++) {
			const struct plan *p = &plans[i];
			struct rng r = rng_make(seed, 100 * i + run);
			uint64_t begin_ns = 50 * NS_PER_S + rng_below(&r, NS_PER_S);
			uint64_t span_ns = 600 * p->period_ns, settled_ns = 100 * p->period_ns;
			struct outcome o;
			struct pace e;

			c.n = 0;
			make_counter(&c, p, &r, begin_ns - NS_PER_S,
				begin_ns + settled_ns + span_ns + NS_PER_S);
			pace_init(&e, p->believed_ns);
			follow(&e, &c, p, &r, begin_ns, begin_ns + settled_ns + span_ns,
				begin_ns + settled_ns, &o);
			check_outcome(&o, p, seed, span_ns);
			/* The pace was learned: a hundred updates on it is still right. */
			assert_in_range(e.period_ns,
				p->period_ns - p->period_ns / 400 - p->jitter_ns,
				p->period_ns + p->period_ns / 400 + p->jitter_ns);
		}
	}
}

/* The first periods: updates are located soon, and before that nothing is said of them. */
static void test_search(void **state)
{
	static const struct plan plan = { 100000000, 100000000, 300000, 200000, 0 };
	uint64_t seed = rng_seed();
	static struct counter c;

	(void) state;
	for (uint64_t run = 0; run < 200; run++) {
		struct rng r = rng_make(seed, 10000 + run);
		uint64_t now_ns = 50 * NS_PER_S, begin_ns = now_ns;
		size_t value = 0, n_reads = 0;
		struct pace e;

		c.n = 0;
		make_counter(&c, &plan, &r, now_ns - NS_PER_S, now_ns + NS_PER_S);
		pace_init(&e, plan.believed_ns);
		while (!e.located) {
			value = value_at(&c, value, now_ns);
			pace_step(&e, value, now_ns);
			n_reads++;
			if (now_ns > begin_ns + plan.period_ns * 5 / 4)
				fail_msg("seed %" PRIu64 ", run %" PRIu64 ": not found in a period",
					seed, run);
			if (!e.located)
				now_ns = pace_next_ns(&e, now_ns) + rng_below(&r, plan.late_ns);
		}
		assert_true(n_reads <= 64 * 5 / 4 + 1);
		assert_in_range(
			c.updates[value - 1], e.at_ns - e.err_ns - 1, e.at_ns + e.err_ns + 1);
		assert_true(e.err_ns <= plan.period_ns / 8);
	}
}

/* The counter jumps: the driver was loaded again, or a clock was changed. */
static void test_phase_jump(void **state)
{
	static const struct plan plan = { 100000000, 100000000, 300000, 200000, 0 };
	uint64_t seed = rng_seed();
	static struct counter c;

	(void) state;
	for (uint64_t run = 0; run < 40; run++) {
		struct rng r = rng_make(seed, 20000 + run);
		uint64_t jump_ns = 60 * NS_PER_S, end_ns = 100 * NS_PER_S, now_ns;
		struct outcome o;
		struct pace e;

		c.n = 0;
		make_counter(&c, &plan, &r, 50 * NS_PER_S, jump_ns);
		make_counter(&c, &plan, &r, jump_ns, end_ns + NS_PER_S);
		pace_init(&e, plan.believed_ns);
		now_ns = follow(&e, &c, &plan, &r, 50 * NS_PER_S, jump_ns, jump_ns, &o);
		/* Ten seconds later all is well again. */
		follow(&e, &c, &plan, &r, now_ns, end_ns, jump_ns + 10 * NS_PER_S, &o);
		check_outcome(&o, &plan, seed, end_ns - jump_ns - 10 * NS_PER_S);
	}
}

/* Nobody read for a while: with and without being told. */
static void test_pause(void **state)
{
	static const struct plan plan = { 100300000, 100000000, 300000, 200000, 0 };
	uint64_t seed = rng_seed();
	static struct counter c;

	(void) state;
	for (uint64_t run = 0; run < 40; run++) {
		struct rng r = rng_make(seed, 30000 + run);
		uint64_t pause_ns = 70 * NS_PER_S, end_ns = 200 * NS_PER_S, resume_ns;
		uint64_t learned_ns;
		struct outcome o;
		struct pace e;

		c.n = 0;
		make_counter(&c, &plan, &r, 50 * NS_PER_S, end_ns + NS_PER_S);
		pace_init(&e, plan.believed_ns);
		resume_ns = follow(&e, &c, &plan, &r, 50 * NS_PER_S, pause_ns, pause_ns, &o) +
			NS_PER_MS * rng_between(&r, 1, 60000);
		learned_ns = e.period_ns;
		if (run % 2) {
			pace_restart(&e);
			assert_false(e.located);
			assert_int_equal(e.period_ns, learned_ns);
		}
		follow(&e, &c, &plan, &r, resume_ns, end_ns, resume_ns + 10 * NS_PER_S, &o);
		check_outcome(&o, &plan, seed, end_ns - resume_ns - 10 * NS_PER_S);
	}
}

/* A counter that stands still (a GPU that is off) is looked at, now and then a little more. */
static void test_stuck(void **state)
{
	struct plan plan = { 100000000, 100000000, 300000, 200000, 0 };
	static struct counter c;
	struct rng r = rng_make(rng_seed(), 40000);
	uint64_t begin_ns = 50 * NS_PER_S, stuck_ns = 60 * NS_PER_S, end_ns = 90 * NS_PER_S;
	struct outcome o;
	struct pace e;

	(void) state;
	c.n = 0;
	make_counter(&c, &plan, &r, begin_ns, stuck_ns);
	make_counter(&c, &plan, &r, end_ns, end_ns + 20 * NS_PER_S);
	pace_init(&e, plan.believed_ns);
	begin_ns = follow(&e, &c, &plan, &r, begin_ns, stuck_ns, 0, &o);
	begin_ns = follow(&e, &c, &plan, &r, begin_ns, end_ns, stuck_ns + NS_PER_S, &o);
	assert_int_equal(o.n_news, 0);
	assert_in_range(o.n_reads, 280, 29 * 22 * 10);
	follow(&e, &c, &plan, &r, begin_ns, end_ns + 20 * NS_PER_S, end_ns + 10 * NS_PER_S, &o);
	check_outcome(&o, &plan, rng_seed(), 10 * NS_PER_S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paces),
		cmocka_unit_test(test_search),
		cmocka_unit_test(test_phase_jump),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_stuck),
	};

	return cmocka_run_group_tests_name("edge", tests, NULL, NULL);
}
