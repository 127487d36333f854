// SPDX-License-Identifier: MIT
#include "sensors/nvml/nvml_gpu.h"

#include <errno.h>

#include "util/cleanup.h"
#include "util/u128.h"

/* So often is a counter read that is updated too fast to be followed. */
#define LIVE_EVERY_NS (20 * NS_PER_MS)

/* A value's stamp is believed if it says that the value is not older than this (its driver's clock
 * is the machine's wall clock, which may be set meanwhile), nor from the future. */
#define STAMP_OLDEST_NS INT64_C(1000000000)
#define STAMP_SLACK_NS INT64_C(2000000)

/* Two clocks are read at the same time if it takes no longer than this. */
#define CLOSE_NS (5 * NS_PER_US)

/* The first reading's time may be off by this part of a period: to find out better, so many updates
 * are passed by at most. After so many of which nothing is found out, the time of the read has to
 * do. */
#define ROUGH_PART 50
#define ROUGH_MAX 2
#define LOST_MAX 6

/* A counter that stands still for so long although power is drawn tells nothing. */
#define STILL_MAX_NS (10 * NS_PER_S)

/* So often one looks whether a GPU still sleeps. */
#define ASLEEP_EVERY_NS (250 * NS_PER_MS)

/* ---- asking the driver ------------------------------------------------------------------ */

static void read_fields(const struct nvml_api *api, const struct gpu *g, struct gpu_sample *ret)
{
	const unsigned ids[] = { g->module ? NVML_FI_DEV_SCOPED_ENERGY_CONSUMPTION
					   : NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION,
		NVML_FI_DEV_POWER_INSTANT, NVML_FI_DEV_POWER_AVERAGE };
	struct nvml_field fields[ARRAY_SIZE(ids)];

	/* What a driver leaves as it was is no value. */
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		fields[i] = (struct nvml_field) { .id = ids[i],
			.scope = g->module ? NVML_SCOPE_MODULE : NVML_SCOPE_GPU,
			.error = NVML_ERROR_NOT_SUPPORTED };
	if (api->fields(g->device, ARRAY_SIZE(ids), fields) != NVML_SUCCESS)
		return;
	ret->has_energy = nvml_field_u64(&fields[0], &ret->energy_mj);
	ret->has_power = nvml_field_u64(&fields[1], &ret->power_mw);
	/* Where there is an average, nvmlDeviceGetPowerUsage() tells no other figure. */
	if (!ret->has_power) {
		ret->has_power = nvml_field_u64(&fields[2], &ret->power_mw);
		ret->averaged = ret->has_power;
	}
	ret->from_fields = ret->has_energy || ret->has_power;
	ret->stamp_us = ret->has_energy ? fields[0].timestamp_us
		: ret->has_power        ? fields[ret->averaged ? 2 : 1].timestamp_us
					: 0;
}

int gpu_take_sample(const struct host *h, const struct nvml_api *api, const struct gpu *g,
	struct gpu_sample *ret)
{
	uint64_t before_ns = host_now_ns(h), after_ns;
	unsigned long long mj;
	unsigned mw;
	int error = NVML_ERROR_NOT_SUPPORTED;

	*ret = (struct gpu_sample) { 0 };
	if (api->fields && (g->has_fields || !g->watch.done))
		read_fields(api, g, ret);
	if (!ret->has_energy && g->source == SOURCE_COUNTER && api->energy_mj && !g->module) {
		error = api->energy_mj(g->device, &mj);
		ret->has_energy = error == NVML_SUCCESS;
		if (ret->has_energy)
			ret->energy_mj = mj;
		ret->stamp_us = 0;
	}
	if (!ret->has_power && api->power_mw && !g->module) {
		int r = api->power_mw(g->device, &mw);

		ret->has_power = r == NVML_SUCCESS;
		if (ret->has_power)
			ret->power_mw = mw;
		if (g->source == SOURCE_POWER)
			error = r;
	}
	if (ret->power_mw > g->max_power_mw)
		ret->has_power = false; /* some drivers tell all ones where they know nothing */
	after_ns = host_now_ns(h);
	ret->t_ns = before_ns + (after_ns - before_ns) / 2;
	ret->t_err_ns = (after_ns - before_ns) / 2;
	if (g->source == SOURCE_COUNTER ? ret->has_energy : ret->has_power)
		return 0;
	return error ? nvml_errno(error) : -ERANGE;
}

uint64_t gpu_value(const struct gpu *g, const struct gpu_sample *s)
{
	return g->source == SOURCE_COUNTER ? s->energy_mj : s->power_mw;
}

/* How much later the wall clock is than the monotonic one. Whoever reads two clocks may be kept from
 * it in between: it is done a few times, and the closest pair counts. */
static int64_t wall_less_mono_ns(const struct host *h)
{
	uint64_t shortest_ns = UINT64_MAX;
	int64_t ret = 0;

	for (int i = 0; i < 4 && shortest_ns > CLOSE_NS; i++) {
		uint64_t before_ns = host_now_ns(h), after_ns;
		int64_t wall_ns = clock_wall_ns(h->clock);

		after_ns = host_now_ns(h);
		if (after_ns - before_ns >= shortest_ns)
			continue;
		shortest_ns = after_ns - before_ns;
		ret = wall_ns - (int64_t) (before_ns + shortest_ns / 2);
	}
	return ret;
}

bool gpu_stamp_to_mono_ns(const struct host *h, long long stamp_us, uint64_t *ret)
{
	int64_t now_ns = (int64_t) host_now_ns(h), t_ns;

	if (stamp_us <= 0 || stamp_us > INT64_MAX / 1000)
		return false;
	t_ns = (int64_t) stamp_us * 1000 - wall_less_mono_ns(h);
	if (t_ns > now_ns + STAMP_SLACK_NS || t_ns < now_ns - STAMP_OLDEST_NS || t_ns <= 0)
		return false;
	*ret = (uint64_t) (t_ns < now_ns ? t_ns : now_ns);
	return true;
}

bool gpu_note_value(struct gpu *g, uint64_t value, uint64_t t_ns)
{
	bool changed = g->has_value && value != g->value;

	if (changed || !g->has_value)
		g->changed_ns = t_ns;
	g->n_vain = changed ? 0 : g->n_vain + 1;
	g->has_value = true;
	g->value = value;
	return changed;
}

void gpu_follow_pace(struct gpu *g, const struct gpu_sample *sample)
{
	pace_step_within(&g->pace, g->value, sample->t_ns - sample->t_err_ns,
		sample->t_ns + sample->t_err_ns);
	g->live = g->pace.located && g->pace.period_ns < GPU_UPDATE_LEAST_NS;
}

/* ---- dating what it tells --------------------------------------------------------------- */

/* The driver's stamps are not to be believed any more: from now on the pace is followed. */
static void give_up_stamps(struct gpu *g)
{
	g->stamped = false;
	pace_restart(&g->pace);
}

static bool date_by_stamp(const struct host *h, struct gpu *g, const struct gpu_sample *sample,
	bool news, struct reading *r)
{
	uint64_t since_ns;

	if (!gpu_stamp_to_mono_ns(h, sample->stamp_us, &r->t_ns) || r->t_ns <= g->last.t_ns) {
		if (news && ++g->n_odd >= GPU_FAILURES_MIN)
			give_up_stamps(g);
		return false;
	}
	g->n_odd = 0;
	r->t_err_ns = sample->t_err_ns;
	/* The pace changes slowly if at all; more than one update may have come since. */
	since_ns = r->t_ns - g->last.t_ns;
	if (since_ns < g->pace.period_ns * 3 / 2 && since_ns > g->pace.period_ns / 2)
		g->pace.period_ns = (7 * g->pace.period_ns + since_ns) / 8;
	return true;
}

/* No power is drawn, and the counter stands: what it tells is true now. */
static bool is_asleep(const struct gpu *g, const struct gpu_sample *sample)
{
	return sample->has_power && sample->power_mw == 0 &&
		sample->t_ns > g->changed_ns + 3 * g->pace.period_ns;
}

/* When the value became true: from the driver's stamp, or from when updates are known to happen.
 * Returns false where that is not known, or was told before: the last reading then stands. */
static bool date(const struct host *h, struct gpu *g, const struct gpu_sample *sample, bool news,
	struct reading *r)
{
	r->t_ns = sample->t_ns;
	r->t_err_ns = sample->t_err_ns + g->pace.period_ns;
	if (g->source == SOURCE_POWER && sample->averaged)
		r->t_err_ns += GPU_AVERAGE_NS;
	if (g->source == SOURCE_POWER || is_asleep(g, sample))
		return true;
	/* A stamp tells of a value's time even where nobody saw it change. */
	if (g->stamped && (news || g->last.error))
		return date_by_stamp(h, g, sample, news, r);
	if (!news)
		return false;
	if (g->live)
		return r->t_ns > g->last.t_ns;
	if (g->pace.located && g->pace.err_ns <= g->pace.period_ns / 2) {
		r->t_ns = g->pace.at_ns;
		r->t_err_ns = g->pace.err_ns;
	} else if (g->n_rough++ < LOST_MAX) {
		return false;
	}
	/* What the first reading's time is off by stays in the first line. */
	if (g->last.t_ns == 0 && r->t_err_ns > g->pace.period_ns / ROUGH_PART &&
		g->n_rough++ < ROUGH_MAX)
		return false;
	if (g->pace.located)
		g->n_rough = 0;
	return r->t_ns > g->last.t_ns;
}

static uint64_t next_due_ns(const struct gpu *g, uint64_t t_ns)
{
	uint64_t period_ns = g->pace.period_ns, margin_ns = period_ns / 50, due_ns;

	if (g->source == SOURCE_POWER)
		return t_ns + period_ns / 2;
	if (g->live)
		return t_ns + LIVE_EVERY_NS;
	if (!g->stamped)
		return pace_next_ns(&g->pace, t_ns);
	/* Shortly after the next update; if it is late, ever more rarely, up to once in a period. */
	due_ns = g->last.t_ns + period_ns + margin_ns;
	if (due_ns > t_ns && g->last.error == 0)
		return due_ns;
	margin_ns <<= g->n_vain < 8 ? g->n_vain : 8;
	return t_ns + (margin_ns < period_ns ? margin_ns : period_ns);
}

/* A call that fails once is forgiven; after that, ever more rarely, up to once in ten seconds: a
 * lost GPU makes calls slow. */
static void fail(const struct host *h, struct gpu *g, int error)
{
	uint64_t pause_ns = 10 * NS_PER_S;

	if (++g->failures >= GPU_FAILURES_MIN)
		g->last = (struct reading) { .error = error, .t_ns = g->last.t_ns };
	if (g->failures < 10)
		pause_ns = GPU_UPDATE_DEFAULT_NS << (g->failures / 2);
	g->due_ns = host_now_ns(h) + pause_ns;
}

/* A counter that fell, or rose by more than can be, did not do so at an update: nothing is to be
 * learned of the pace from it. */
static bool is_broken(const struct gpu *g, uint64_t value, uint64_t t_ns)
{
	/* 1 mW for 1 ns is 10^-9 mJ */
	uint64_t ns = t_ns - g->changed_ns + 2 * g->pace.period_ns;

	return g->has_value && g->source == SOURCE_COUNTER &&
		(value < g->value || value - g->value > muldiv_u64(g->max_power_mw, ns, NS_PER_S));
}

void gpu_read(const struct host *h, const struct nvml_api *api, struct gpu *g)
{
	struct gpu_sample sample;
	struct reading r;
	bool news;
	int error = gpu_take_sample(h, api, g, &sample);

	if (error < 0) {
		fail(h, g, error);
		return;
	}
	g->failures = 0;
	if (is_broken(g, gpu_value(g, &sample), sample.t_ns)) {
		pace_restart(&g->pace);
		g->has_value = false;
		g->n_rough = 0;
	}
	news = gpu_note_value(g, gpu_value(g, &sample), sample.t_ns);
	if (g->source == SOURCE_COUNTER && !g->stamped && !g->live)
		gpu_follow_pace(g, &sample);
	r = (struct reading) {
		.flags = g->source == SOURCE_COUNTER ? FLAG_MEASURED : FLAG_INTEGRATED,
		.raw = sample.energy_mj,
		.power_mw = sample.has_power ? sample.power_mw : g->last.power_mw,
	};
	if (date(h, g, &sample, news, &r)) {
		if (g->source == SOURCE_COUNTER && sample.has_power &&
			gpu_check_step(&g->check, &r, sample.averaged ? GPU_AVERAGE_NS : 0))
			r.flags |= FLAG_DISPUTED;
		g->last = r;
	} else if (sample.t_ns > g->changed_ns + STILL_MAX_NS && sample.has_power)
		g->last = (struct reading) { .error = -ENODATA, .t_ns = g->last.t_ns };
	g->due_ns = next_due_ns(g, sample.t_ns + sample.t_err_ns);
}

static void forget_pace(struct gpu *g)
{
	pace_restart(&g->pace);
	g->has_value = false;
	g->failures = g->n_rough = 0;
}

void gpu_let_sleep(const struct host *h, struct gpu *g)
{
	forget_pace(g);
	g->last = (struct reading) { .error = -ENODATA, .t_ns = g->last.t_ns };
	g->due_ns = host_now_ns(h) + ASLEEP_EVERY_NS;
}

void gpu_begin_anew(struct gpu *g)
{
	forget_pace(g);
	g->last = (struct reading) { .error = -EAGAIN };
	g->due_ns = 0;
}
