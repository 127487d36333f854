// SPDX-License-Identifier: MIT
#include "sensors/nvml/nvml_watch.h"

#include <errno.h>
#include <time.h>

#include "util/cleanup.h"
#include "util/timer.h"

/* When GPUs are opened they are watched for so long, if nothing moves; else for twice that at most,
 * each until its pace is known to this part of itself, or its power has changed so often. */
#define WATCH_NS NS_PER_S
#define WATCH_EVERY_NS (2 * NS_PER_MS)
#define WATCH_UPDATES 4
#define WATCH_PACE_PART 300

static void sleep_until(const struct host *h, uint64_t t_ns)
{
	uint64_t now_ns = host_now_ns(h);

	if (t_ns > now_ns)
		timer_sleep(t_ns - now_ns);
}

/* Stamps that also move without the value tell when we asked, not when it was updated. */
static void judge_stamp(
	const struct host *h, struct gpu_watch *w, const struct gpu_sample *sample, bool changed)
{
	uint64_t t_ns;

	if (changed && sample->stamp_us != w->stamp_us &&
		gpu_stamp_to_mono_ns(h, sample->stamp_us, &t_ns))
		w->stamps_good++;
	else if (changed || sample->stamp_us != w->stamp_us)
		w->stamps_bad++;
}

static bool has_stamps(const struct gpu_watch *w)
{
	return w->stamps_good > 0 && w->stamps_bad == 0;
}

static bool is_watched_enough(const struct gpu *g, const struct gpu_watch *w)
{
	if (g->source == SOURCE_POWER || has_stamps(w))
		return w->n_updates >= WATCH_UPDATES;
	return g->pace.located && g->pace.pace_err_ns <= g->pace.period_ns / WATCH_PACE_PART;
}

static void watch_once(const struct host *h, const struct nvml_api *api, struct gpu *g)
{
	struct gpu_watch *w = &g->watch;
	bool first = !g->has_value, changed;
	uint64_t gap_ns = g->changed_ns;
	struct gpu_sample sample;
	int r = gpu_take_sample(h, api, g, &sample);

	if (r < 0) {
		w->due_ns = host_now_ns(h) + WATCH_EVERY_NS;
		if (r == -EOPNOTSUPP || ++w->n_errors >= GPU_FAILURES_MIN) {
			w->error = r;
			w->done = true;
		}
		return;
	}
	w->n_errors = 0;
	g->has_fields |= sample.from_fields;
	g->averaged = sample.averaged;
	changed = gpu_note_value(g, gpu_value(g, &sample), sample.t_ns);
	gap_ns = g->changed_ns - gap_ns;
	if (changed && w->n_updates++ > 0 && (w->shortest_ns == 0 || gap_ns < w->shortest_ns))
		w->shortest_ns = gap_ns;
	if (!first)
		judge_stamp(h, w, &sample, changed);
	if (changed && w->n_updates == 1)
		w->first_us = sample.stamp_us;
	w->stamp_us = sample.stamp_us;
	w->due_ns = sample.t_ns + WATCH_EVERY_NS;
	if (g->source == SOURCE_COUNTER) {
		gpu_follow_pace(g, &sample);
		w->due_ns = pace_next_ns(&g->pace, sample.t_ns + sample.t_err_ns);
	}
	w->done = is_watched_enough(g, w);
}

static void begin_watching(struct gpu *g, enum gpu_source source, bool module)
{
	g->source = source;
	g->module = module;
	g->watch = (struct gpu_watch) { 0 };
	g->has_value = false;
	pace_init(&g->pace, GPU_UPDATE_DEFAULT_NS);
	g->pace.measuring = true;
}

/* Watches the GPUs' values move, all at the same time: whether they do, how often, and whether the
 * driver's stamps tell when. */
static void watch_all(const struct host *h, const struct nvml_api *api, struct gpu *gpus, size_t n)
{
	uint64_t begun_ns = host_now_ns(h);

	for (;;) {
		uint64_t now_ns = host_now_ns(h), due_ns = UINT64_MAX;

		for (size_t i = 0; i < n; i++) {
			struct gpu_watch *w = &gpus[i].watch;

			if (now_ns > begun_ns + (w->n_updates < 2 ? WATCH_NS : 2 * WATCH_NS))
				w->done = true;
			if (!w->done && w->due_ns <= now_ns)
				watch_once(h, api, &gpus[i]);
			if (!w->done && w->due_ns < due_ns)
				due_ns = w->due_ns;
		}
		if (due_ns == UINT64_MAX)
			break;
		sleep_until(h, due_ns);
	}
}

/* Power may well stand still; a counter that does tells nothing. */
static bool tells(const struct gpu *g)
{
	return g->watch.error == 0 && (g->source == SOURCE_POWER || g->watch.n_updates > 0);
}

/* It might tell, but does not: there is no other way to ask. */
static bool fails(const struct gpu *g)
{
	return !g->module && g->watch.error != -EOPNOTSUPP;
}

void gpus_watch(const struct host *h, const struct nvml_api *api, struct gpu *gpus, size_t n)
{
	/* Superchips may refuse to tell of the GPU alone. */
	static const struct {
		enum gpu_source source;
		bool module;
	} ways[] = { { SOURCE_COUNTER, false }, { SOURCE_POWER, false }, { SOURCE_COUNTER, true },
		{ SOURCE_POWER, true } };

	for (size_t way = 0; way < ARRAY_SIZE(ways); way++) {
		bool any = false;

		for (size_t i = 0; i < n; i++) {
			if (way > 0 && (tells(&gpus[i]) || (ways[way].module && fails(&gpus[i]))))
				continue;
			begin_watching(&gpus[i], ways[way].source, ways[way].module);
			any = true;
		}
		if (any)
			watch_all(h, api, gpus, n);
	}
}

/* A counter's pace was measured; of power only the shortest time between two changes is known,
 * which need not be a single update's. */
void gpu_settle_pace(struct gpu *g)
{
	const struct gpu_watch *w = &g->watch;
	bool located = g->pace.located;
	uint64_t period_ns = g->pace.period_ns;

	g->stamped = g->source == SOURCE_COUNTER && has_stamps(w);
	if (g->stamped && w->n_updates > 1)
		period_ns = (uint64_t) (w->stamp_us - w->first_us) * NS_PER_US / (w->n_updates - 1);
	else if (g->source == SOURCE_POWER)
		period_ns = w->shortest_ns;
	else if (!located)
		period_ns = GPU_UPDATE_DEFAULT_NS;
	if (period_ns == 0 || (g->source == SOURCE_POWER && period_ns > GPU_UPDATE_DEFAULT_NS))
		period_ns = GPU_UPDATE_DEFAULT_NS;
	g->live = g->source == SOURCE_COUNTER && !g->stamped && period_ns < GPU_UPDATE_LEAST_NS;
	if (period_ns < GPU_UPDATE_LEAST_NS)
		period_ns = GPU_UPDATE_LEAST_NS;
	if (period_ns != g->pace.period_ns)
		pace_init(&g->pace, period_ns);
	else
		pace_restart(&g->pace);
	g->pace.measuring = g->source == SOURCE_COUNTER && !located;
	g->watch.done = true;
	g->has_value = false;
}
