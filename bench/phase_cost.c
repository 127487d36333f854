// SPDX-License-Identifier: MIT
/*
 * What a marker costs, in nanoseconds, as JSON: with a channel, as `powermeasure run` makes one, and
 * without. The least over rounds of the mean within each, for whoever else runs makes it longer; beside
 * it a reading of the clock, of which a marker has one; and what a channel costs that nobody uses.
 */
#include <powermeasure_phase.h>

#include <stdio.h>

#include "phases/phase_channel.h"

#define ROUNDS 200
#define PER_ROUND 2000

static double least(void (*work)(void))
{
	double ret = 1e9;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t begun_ns = pm_phase_clock_(CLOCK_MONOTONIC);
		double ns;

		work();
		ns = (double) (pm_phase_clock_(CLOCK_MONOTONIC) - begun_ns) / PER_ROUND;
		ret = ns < ret ? ns : ret;
	}
	return ret;
}

static void mark(void)
{
	for (int i = 0; i < PER_ROUND / 2; i++) {
		pm_phase_begin("infer");
		pm_phase_end("infer");
	}
}

/* Four names in turn, as a program with four phases has them. */
static void mark_four(void)
{
	static const char *const names[] = { "load", "preprocess", "infer", "postprocess" };

	for (int i = 0; i < PER_ROUND / 8; i++) {
		for (int k = 0; k < 4; k++) {
			pm_phase_begin(names[k]);
			pm_phase_end(names[k]);
		}
	}
}

static void read_clock(void)
{
	for (int i = 0; i < PER_ROUND; i++)
		pm_phase_clock_(CLOCK_MONOTONIC);
}

/* What a run pays whose command marks nothing: the channel, and a look into it ten times a second. */
static double channel_ns(void)
{
	struct phase_channel *channel;
	char why[320];
	double ret = 1e9;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t begun_ns = pm_phase_clock_(CLOCK_MONOTONIC);
		double ns;

		if (phase_channel_create(&channel, NULL, getuid(), why, sizeof(why)) < 0)
			exit(1);
		phase_channel_destroy(channel);
		ns = (double) (pm_phase_clock_(CLOCK_MONOTONIC) - begun_ns);
		ret = ns < ret ? ns : ret;
	}
	return ret;
}

static struct phase_channel *unused;

static void look(void)
{
	for (int i = 0; i < PER_ROUND; i++)
		phase_channel_read(unused, 0, false, NULL, NULL);
}

static double look_ns(void)
{
	char why[320];
	double ret;

	if (phase_channel_create(&unused, NULL, getuid(), why, sizeof(why)) < 0)
		exit(1);
	ret = least(look);
	phase_channel_destroy(unused);
	return ret;
}

int main(void)
{
	struct phase_channel *channel;
	double without_ns, with_ns, four_ns;
	char why[320];

	unsetenv("POWERMEASURE_PHASES");
	mark();
	without_ns = least(mark);
	if (phase_channel_create(&channel, NULL, getuid(), why, sizeof(why)) < 0) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	setenv("POWERMEASURE_PHASES", phase_channel_path(channel), 1);
	pm_phase_process_ = (struct pm_phase_process_) { 0 };
	pm_phase_thread_ = (struct pm_phase_thread_) { 0 };
	mark();
	with_ns = least(mark);
	four_ns = least(mark_four);
	printf("{\"marker_ns\": %.1f, \"marker_of_four_names_ns\": %.1f, "
	       "\"marker_without_channel_ns\": %.1f, \"clock_ns\": %.1f, "
	       "\"unused_channel_ns\": %.0f, \"unused_look_ns\": %.0f}\n",
		with_ns, four_ns, without_ns, least(read_clock), channel_ns(), look_ns());
	phase_channel_destroy(channel);
	return 0;
}
