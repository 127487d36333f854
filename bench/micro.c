// SPDX-License-Identifier: MIT
/*
 * What one sample and one line cost, in nanoseconds, as JSON: the median over rounds of the mean
 * within each. A sample is one snapshot of one process and of a tree of four RAPL zones (files in a
 * temporary directory; the kernel's own take about as long again). A line is everything that
 * follows: books, record, JSON, and its place in the file.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"
#include "session/session.h"
#include "books/snapshot.h"
#include "sinks/sink.h"

#define ROUNDS 21
#define PER_ROUND 200

static const char *directory;

/* ---- one sample ------------------------------------------------------------------------- */

static double sample_ns(struct series *series, struct target *target, struct snapshot *snapshot)
{
	struct target *targets[] = { target };
	double rounds[ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t begun_ns = clock_mono_ns(&clock_system);

		for (int k = 0; k < PER_ROUND; k++)
			snapshot_take(series, KIND_ALL, targets, 1, 0, snapshot);
		rounds[i] = (double) (clock_mono_ns(&clock_system) - begun_ns) / PER_ROUND;
	}
	return bench_median(rounds, ROUNDS);
}

/* ---- one line --------------------------------------------------------------------------- */

struct bench {
	struct sink sink;
	uint64_t edges;
	struct target *target;
};

static void on_add(void *ctx, struct target *t)
{
	((struct bench *) ctx)->target = t;
}

static void on_keep(void *ctx, uint32_t slot, struct taskclock clock)
{
	(void) ctx;
	(void) slot;
	taskclock_finish(&clock);
}

static void on_drop(void *ctx, uint32_t slot)
{
	(void) ctx;
	(void) slot;
}

static void on_want(void *ctx, uint32_t kinds)
{
	(void) ctx;
	(void) kinds;
}

static void on_until(void *ctx, uint32_t id, uint64_t t_ns)
{
	(void) ctx;
	(void) id;
	(void) t_ns;
}

static uint64_t on_edge(void *ctx)
{
	return ++((struct bench *) ctx)->edges;
}

static void on_record(void *ctx, const struct record *r)
{
	struct sink *sink = &((struct bench *) ctx)->sink;

	if (sink->types & (1u << r->type))
		sink->ops->write(sink, r);
}

static void on_say(void *ctx, enum session_severity severity, const char *text)
{
	(void) ctx;
	if (severity != SESSION_INFO)
		fprintf(stderr, "%s\n", text);
}

static double line_ns(struct rig *rig, struct series *series, struct snapshot *snapshot)
{
	struct bench b = { .sink = { .ops = &sink_readme, .options = { .path = directory } } };
	struct session_hooks hooks = { .sampling = { on_add, on_keep, on_drop, on_want, on_until,
					       on_edge },
		.record = on_record,
		.say = on_say,
		.ctx = &b };
	const struct domain *domains[RIG_MAX_DOMAINS];
	struct session_options options = { .clock = &clock_system,
		.domains = domains,
		.n_domains = rig_n_domains(rig),
		.account = { .tick_ns = 4 * NS_PER_MS } };
	static struct request event = { .kind = REQUEST_START, .start_now = true, .n_pids = 1 };
	struct session_set *ss;
	char why[256];
	size_t n_accepted;
	double rounds[ROUNDS];

	for (size_t i = 0; i < rig_n_domains(rig); i++)
		domains[i] = rig_domain(rig, i);
	for (int k = 0; k < KIND_COUNT; k++)
		options.period_ns[k] = NS_PER_MS;
	event.pids[0] = getpid();
	event.kinds = KIND_BIT(KIND_CPU);
	if (b.sink.ops->open(&b.sink, why, sizeof(why)) < 0 ||
		session_set_create(&ss, &options, &hooks) < 0 ||
		session_set_start(ss, &event, &n_accepted, why, sizeof(why)) < 0) {
		fprintf(stderr, "%s\n", why);
		exit(1);
	}
	snapshot_take(series, KIND_ALL, &b.target, 1, SNAPSHOT_EDGE, snapshot);
	snapshot->ordinal = b.edges;
	snapshot->flags |= SNAPSHOT_FIRST;
	session_set_enter(ss, snapshot);
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t spent_ns = 0;

		for (int k = 0; k < PER_ROUND; k++) {
			uint64_t begun_ns;

			snapshot->flags = 0;
			snapshot->ticks = KIND_BIT(KIND_CPU);
			snapshot->t_ns += NS_PER_MS;
			snapshot->capacity_ns += 2 * NS_PER_MS;
			for (size_t d = 0; d < snapshot->n_domains; d++) {
				snapshot_readings(snapshot)[d].t_ns += NS_PER_MS;
				snapshot_readings(snapshot)[d].energy_uj += 20000;
			}
			begun_ns = clock_mono_ns(&clock_system);
			session_set_enter(ss, snapshot);
			b.sink.ops->flush(&b.sink, false);
			spent_ns += clock_mono_ns(&clock_system) - begun_ns;
		}
		rounds[i] = (double) spent_ns / PER_ROUND;
	}
	session_set_destroy(ss);
	b.sink.ops->close(&b.sink);
	target_close(b.target);
	free(b.target);
	return bench_median(rounds, ROUNDS);
}

int main(void)
{
	struct sensor_options sensor_options = { 0 };
	struct rig_options rig_options = { .sensors = "rapl-powercap", .sensor = &sensor_options };
	struct host host;
	struct rig *rig;
	struct series series;
	struct target target = { 0 };
	struct snapshot *snapshot;
	const char *bad;
	double sample, line;

	directory = bench_tree_make();
	if (host_init(&host, directory, &clock_system) < 0 ||
		rig_open(&rig, &host, &rig_options, &bad) < 0 || rig_n_domains(rig) != 4 ||
		target_open_process(&target, getppid()) < 0) {
		fprintf(stderr, "cannot set the bench up\n");
		return 1;
	}
	snapshot = malloc(snapshot_size(rig_n_domains(rig), 1));
	series_init(&series, &host, rig);
	series_want(&series, KIND_ALL);
	sample = sample_ns(&series, &target, snapshot);
	line = line_ns(rig, &series, snapshot);
	printf("{\"sample_ns\": %.0f, \"line_ns\": %.0f}\n", sample, line);
	free(snapshot);
	target_close(&target);
	rig_close(rig, 0);
	host_finish(&host);
	bench_tree_remove();
	return 0;
}
