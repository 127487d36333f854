// SPDX-License-Identifier: MIT
/*
 * How far the energy of a phase is from the truth, as JSON: on power that is known at every
 * nanosecond and is higher within a phase than without (with noise of 10 % besides), read through a
 * counter of RAPL's kind at 100 Hz, as `run` does while phases are marked, and at 1 kHz, as with
 * `-I 1`. For each length of phases: the mean and the root mean square of the error in per cent, the
 * mean half width of the bounds, how often the truth was within them (of all), and how many phases
 * are told a figure rather than called too short. Beside it the mean error of an estimate by time
 * alone, without the neighbours' power.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "machine/clock.h"
#include "phases/phases.h"
#include "util/cleanup.h"

#define MS NS_PER_MS
#define UPDATE_NS (977 * NS_PER_US)
#define QUANTUM_PJ UINT64_C(61035156)
#define STEP_NS (250 * NS_PER_US) /* of the power's noise */
#define N 2500
#define IDLE_MW 40000
#define BUSY_MW 120000

static uint64_t state = 1;

/* 0 to limit - 1. */
static uint64_t random_below(uint64_t limit)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % limit;
}

/* The power of one phase's surroundings: so many steps, each constant. */
#define STEPS 1600

struct curve {
	double sum_uj[STEPS + 1];
	double mw[STEPS];
};

static double used_uj(const struct curve *c, uint64_t ns)
{
	uint64_t i = ns / STEP_NS;

	return i >= STEPS ? c->sum_uj[STEPS]
			  : c->sum_uj[i] + c->mw[i] * (double) (ns - i * STEP_NS) / 1e6;
}

static void draw(struct curve *c, uint64_t from_ns, uint64_t to_ns)
{
	double noise = 0;

	for (uint64_t i = 0; i < STEPS; i++) {
		uint64_t a = i * STEP_NS, b = a + STEP_NS;
		uint64_t on_ns = a >= to_ns || b <= from_ns
			? 0
			: (b < to_ns ? b : to_ns) - (a > from_ns ? a : from_ns);
		double mean = IDLE_MW +
			(double) (BUSY_MW - IDLE_MW) * (double) on_ns / (double) STEP_NS;

		/* Wanders about, a few milliseconds at a time. */
		noise = 0.9 * noise + 0.0436 * ((double) random_below(2001) / 1000 - 1) * 1.7;
		c->mw[i] = mean * (1 + noise);
		c->sum_uj[i + 1] = c->sum_uj[i] + c->mw[i] * (double) STEP_NS / 1e6;
	}
}

struct tally {
	double error, square, width, by_time;
	unsigned within, told;
};

static void try_one(struct tally *t, uint64_t ns, uint64_t read_ns)
{
	static struct curve c;
	const struct phase_track track = { 0 };
	uint64_t from_ns = 100 * MS + random_below(50 * MS), to_ns = from_ns + ns;
	uint64_t phase_ns = random_below(UPDATE_NS), at_ns = random_below(read_ns), before_ns = 0;
	double truth, error, by_time = 0, before_uj = 0;
	const uint64_t T0 = 1000 * NS_PER_S;
	struct phase_energy e;
	struct phases *p;

	draw(&c, from_ns, to_ns);
	truth = used_uj(&c, to_ns) - used_uj(&c, from_ns);
	if (phases_create(&p, &track, 1, T0) < 0)
		exit(1);
	phases_mark(p, &(struct phase_marker) { PHASE_BEGIN, 0, 0, 0, T0 + from_ns });
	phases_mark(p, &(struct phase_marker) { PHASE_END, 0, 0, 0, T0 + to_ns });
	for (; at_ns < STEPS * STEP_NS; at_ns += read_ns) {
		uint64_t shown_ns = at_ns < phase_ns ? 0 : at_ns - (at_ns - phase_ns) % UPDATE_NS;
		uint64_t count = (uint64_t) (used_uj(&c, shown_ns) * 1e6 / QUANTUM_PJ);
		double uj = (double) count * QUANTUM_PJ / 1e6;
		uint64_t a_ns = before_ns > from_ns ? before_ns : from_ns;
		uint64_t b_ns = at_ns < to_ns ? at_ns : to_ns;

		if (before_ns && b_ns > a_ns)
			by_time += (uj - before_uj) * (double) (b_ns - a_ns) /
				(double) (at_ns - before_ns);
		before_ns = at_ns;
		before_uj = uj;
		phases_point(p, 0,
			&(struct phase_point) { .t_ns = T0 + at_ns,
				.t_err_ns = UPDATE_NS,
				.uj = (uint64_t) uj,
				.doubt_uj = 62 });
	}
	phases_finish(p, T0 + STEPS * STEP_NS);
	phases_energy(p, 0, 0, &e);
	error = ((double) e.energy.uj - truth) / truth;
	t->error += fabs(error);
	t->square += error * error;
	t->by_time += fabs(by_time - truth) / truth;
	t->width += (double) (e.energy.high_uj - e.energy.low_uj) / 2 / truth;
	t->within += (double) e.energy.low_uj <= truth + 1 &&
		truth <= (double) e.energy.high_uj + 1;
	t->told += !phase_is_too_short(&e);
	phases_destroy(p);
}

int main(void)
{
	static const uint64_t reads_ns[] = { 10 * MS, MS };
	static const uint64_t lengths_ns[] = { 5 * MS, 10 * MS, 50 * MS, 100 * MS };

	printf("[");
	for (size_t i = 0; i < ARRAY_SIZE(reads_ns); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(lengths_ns); k++) {
			struct tally t = { 0 };

			for (int n = 0; n < N; n++)
				try_one(&t, lengths_ns[k], reads_ns[i]);
			printf("%s{\"read_ms\": %g, \"phase_ms\": %g, \"mean_error_percent\": %.3f, "
			       "\"rms_error_percent\": %.3f, \"by_time_alone_percent\": %.3f, "
			       "\"half_width_percent\": %.2f, \"within\": %u, \"told\": %u, "
			       "\"of\": %d}",
				i + k ? ",\n " : "", (double) reads_ns[i] / 1e6,
				(double) lengths_ns[k] / 1e6, 100 * t.error / N,
				100 * sqrt(t.square / N), 100 * t.by_time / N, 100 * t.width / N,
				t.within, t.told, N);
		}
	}
	printf("]\n");
	return 0;
}
