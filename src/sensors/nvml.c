// SPDX-License-Identifier: MIT
/*
 * NVIDIA GPUs through the driver's library, loaded at run time. A GPU's energy counter is used
 * where there is one and it moves; else its power is read at half its update period and added up.
 *
 * The library's prototypes and structures are declared here from the published interface. Calls
 * may take milliseconds or hang with the driver, so this sensor has a thread of its own.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sensors/sensor.h"
#include "util/cleanup.h"
#include "util/dirscan.h"
#include "util/edge.h"
#include "util/parse.h"
#include "util/self.h"
#include "util/u128.h"

#define MAX_GPUS SENSOR_MAX_DOMAINS

/* Every GPU since Kepler but few updates its figures ten times a second; Volta and Pascal do it
 * fifty times (Yang et al., "Part-time Power Measurements", SC 2024). */
#define UPDATE_DEFAULT_NS (100 * NS_PER_MS)
/* Faster ones are not followed: what they tell is as good as present, and read so often. */
#define UPDATE_LEAST_NS (8 * NS_PER_MS)
#define LIVE_EVERY_NS (20 * NS_PER_MS)

/* When GPUs are opened they are watched for so long, if nothing moves; else for twice that at most,
 * each until its pace is known to this part of itself, or its power has changed so often. */
#define WATCH_NS NS_PER_S
#define WATCH_EVERY_NS (2 * NS_PER_MS)
#define WATCH_UPDATES 4
#define WATCH_PACE_PART 300

/* A value's stamp is believed if it says that the value is not older than this (its driver's clock
 * is the machine's wall clock, which may be set meanwhile), nor from the future. */
#define STAMP_OLDEST_NS INT64_C(1000000000)
#define STAMP_SLACK_NS INT64_C(2000000)

/* Two clocks are read at the same time if it takes no longer than this. */
#define CLOSE_NS (5 * NS_PER_US)

/* A single call may fail; so many in a row are a GPU that cannot be read. */
#define FAILURES_MIN 3

/* The first reading's time may be off by this part of a period: to find out better, so many updates
 * are passed by at most. After so many of which nothing is found out, the time of the read has to
 * do. */
#define ROUGH_PART 50
#define ROUGH_MAX 2
#define LOST_MAX 6

/* A counter that stands still for so long although power is drawn tells nothing. */
#define STILL_MAX_NS (10 * NS_PER_S)

/* The vendor's own statement on board power, see docs/design.md. */
#define SCALE_PPM 50000

#define DEFAULT_MAX_MW UINT64_C(2000000)

enum {
	NVML_SUCCESS = 0,
	NVML_ERROR_NOT_SUPPORTED = 3,
	NVML_ERROR_NO_PERMISSION = 4,
	NVML_ERROR_DRIVER_NOT_LOADED = 9,
	NVML_ERROR_TIMEOUT = 10,
	NVML_ERROR_GPU_IS_LOST = 15,
	NVML_ERROR_RESET_REQUIRED = 16,
	NVML_ERROR_LIB_RM_VERSION_MISMATCH = 18,
	NVML_ERROR_UNKNOWN = 999,

	NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION = 83,
	NVML_FI_DEV_POWER_INSTANT = 186,
};

enum nvml_value_type {
	NVML_DOUBLE,
	NVML_UINT,
	NVML_ULONG,
	NVML_ULONGLONG,
	NVML_LONGLONG,
	NVML_INT,
	NVML_USHORT,
};

typedef void *nvml_device;

union nvml_value {
	double d;
	int i;
	unsigned ui;
	unsigned long ul;
	unsigned long long ull;
	long long ll;
	unsigned short us;
};

struct nvml_field {
	unsigned id;
	unsigned scope;
	long long timestamp_us; /* since 1970 */
	long long latency_us;
	unsigned value_type;
	int error;
	union nvml_value value;
};

/* Functions that a driver may be too old for are optional. */
struct nvml_api {
	void *library;
	int (*init)(void);
	int (*shutdown)(void);
	const char *(*error_string)(int);
	int (*device_count)(unsigned *);
	int (*device_by_index)(unsigned, nvml_device *);
	int (*device_name)(nvml_device, char *, unsigned);
	int (*device_uuid)(nvml_device, char *, unsigned);
	int (*power_mw)(nvml_device, unsigned *);
	int (*energy_mj)(nvml_device, unsigned long long *);
	int (*fields)(nvml_device, int, struct nvml_field *);
	int (*power_limit_mw)(nvml_device, unsigned *);
};

enum source { SOURCE_COUNTER, SOURCE_POWER };

/* What is seen of a GPU when it is opened. */
struct watch {
	bool done;
	int error;
	unsigned n_errors; /* in a row */
	uint64_t due_ns;
	long long stamp_us;   /* at the last read ... */
	long long first_us;   /* ... and at the first update */
	unsigned n_updates;   /* changes of the value */
	uint64_t shortest_ns; /* between two of them; 0: not known */
	unsigned stamps_good; /* the stamp moved with the value, and to a time that can be */
	unsigned stamps_bad;  /* anything else */
};

struct gpu {
	nvml_device device;
	unsigned index;
	char name[96];
	char uuid[96];
	uint64_t max_power_mw;
	enum source source;
	bool has_fields;  /* field values have told something that calls of their own tell else */
	bool stamped;     /* the driver tells when the value was updated */
	bool live;        /* it is updated too fast to be followed */
	unsigned n_odd;   /* stamps in a row that cannot be */
	struct edge edge; /* of a counter without stamps: when it is updated; else just how often */
	bool has_value;
	uint64_t value;      /* as of the last read */
	uint64_t changed_ns; /* the read that found it new */
	unsigned n_vain;     /* reads since */
	unsigned n_rough;    /* updates passed by because their time was not known well enough */
	uint64_t due_ns;
	struct reading last;
	unsigned failures; /* in a row */
	struct watch watch;
};

struct nvml {
	struct nvml_api api;
	bool initialised;
	uint64_t next_ns;          /* when the next read is wanted */
	struct gpu gpus[MAX_GPUS]; /* gpu i is domain i */
};

/* ---- loading ---------------------------------------------------------------------------- */

static void *find(void *library, const char *name)
{
	return dlsym(library, name);
}

/* ISO C has no cast from an object's to a function's address; POSIX promises that this works. */
#define RESOLVE(api, member, name)                                   \
	do {                                                         \
		void *address_ = find((api)->library, name);         \
		memcpy(&(api)->member, &address_, sizeof(address_)); \
	} while (0)

static bool load(struct nvml_api *api)
{
	static const char *const places[] = { "libnvidia-ml.so.1",
		"/usr/lib/wsl/lib/libnvidia-ml.so.1", "libnvidia-ml.so" };

	for (size_t i = 0; i < ARRAY_SIZE(places) && !api->library; i++)
		api->library = dlopen(places[i], RTLD_LAZY | RTLD_LOCAL);
	if (!api->library)
		return false;
	RESOLVE(api, init, "nvmlInit_v2");
	RESOLVE(api, shutdown, "nvmlShutdown");
	RESOLVE(api, error_string, "nvmlErrorString");
	RESOLVE(api, device_count, "nvmlDeviceGetCount_v2");
	RESOLVE(api, device_by_index, "nvmlDeviceGetHandleByIndex_v2");
	RESOLVE(api, device_name, "nvmlDeviceGetName");
	RESOLVE(api, device_uuid, "nvmlDeviceGetUUID");
	RESOLVE(api, power_mw, "nvmlDeviceGetPowerUsage");
	RESOLVE(api, energy_mj, "nvmlDeviceGetTotalEnergyConsumption");
	RESOLVE(api, fields, "nvmlDeviceGetFieldValues");
	RESOLVE(api, power_limit_mw, "nvmlDeviceGetEnforcedPowerLimit");
	return api->init && api->device_count && api->device_by_index;
}

static const char *error_text(const struct nvml_api *api, int error)
{
	const char *text = api->error_string ? api->error_string(error) : NULL;

	return text ? text : "an error that it has no words for";
}

static int errno_of(int error)
{
	switch (error) {
	case NVML_SUCCESS:
		return 0;
	case NVML_ERROR_NOT_SUPPORTED:
		return -EOPNOTSUPP;
	case NVML_ERROR_NO_PERMISSION:
		return -EACCES;
	case NVML_ERROR_TIMEOUT:
		return -ETIMEDOUT;
	case NVML_ERROR_GPU_IS_LOST:
	case NVML_ERROR_RESET_REQUIRED:
		return -ENODEV;
	default:
		return -EIO;
	}
}

/* ---- reading one GPU -------------------------------------------------------------------- */

static bool field_u64(const struct nvml_field *f, uint64_t *ret)
{
	if (f->error != NVML_SUCCESS)
		return false;
	switch (f->value_type) {
	case NVML_DOUBLE:
		if (!(f->value.d >= 0 && f->value.d < 1e18))
			return false;
		*ret = (uint64_t) f->value.d;
		return true;
	case NVML_UINT:
		*ret = f->value.ui;
		return true;
	case NVML_ULONG:
		*ret = f->value.ul;
		return true;
	case NVML_ULONGLONG:
		*ret = f->value.ull;
		return true;
	case NVML_LONGLONG:
		*ret = f->value.ll > 0 ? (uint64_t) f->value.ll : 0;
		return f->value.ll >= 0;
	case NVML_INT:
		*ret = f->value.i > 0 ? (uint64_t) f->value.i : 0;
		return f->value.i >= 0;
	case NVML_USHORT:
		*ret = f->value.us;
		return true;
	default:
		return false;
	}
}

/* What one read of a GPU gives. */
struct sample {
	bool has_energy;
	bool has_power;
	bool from_fields; /* one of them at least */
	uint64_t energy_mj;
	uint64_t power_mw;
	long long stamp_us; /* of the value that counts, as the driver tells it; 0: not told */
	uint64_t t_ns;      /* the middle of the call */
	uint64_t t_err_ns;
};

static void read_fields(const struct nvml_api *api, const struct gpu *g, struct sample *ret)
{
	/* What a driver leaves as it was is no value. */
	struct nvml_field fields[2] = {
		{ .id = NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION, .error = NVML_ERROR_NOT_SUPPORTED },
		{ .id = NVML_FI_DEV_POWER_INSTANT, .error = NVML_ERROR_NOT_SUPPORTED },
	};

	if (api->fields(g->device, 2, fields) != NVML_SUCCESS)
		return;
	ret->has_energy = field_u64(&fields[0], &ret->energy_mj);
	ret->has_power = field_u64(&fields[1], &ret->power_mw);
	ret->from_fields = ret->has_energy || ret->has_power;
	ret->stamp_us = ret->has_energy ? fields[0].timestamp_us
		: ret->has_power        ? fields[1].timestamp_us
					: 0;
}

/* Asks for energy and power in one call where the driver can; what is missing then in calls of
 * their own. Returns 0 or -errno. */
static int take_sample(
	const struct host *h, const struct nvml_api *api, const struct gpu *g, struct sample *ret)
{
	uint64_t before_ns = host_now_ns(h), after_ns;
	unsigned long long mj;
	unsigned mw;
	int error = NVML_ERROR_NOT_SUPPORTED;

	*ret = (struct sample) { 0 };
	if (api->fields && (g->has_fields || !g->watch.done))
		read_fields(api, g, ret);
	if (!ret->has_energy && g->source == SOURCE_COUNTER && api->energy_mj) {
		error = api->energy_mj(g->device, &mj);
		ret->has_energy = error == NVML_SUCCESS;
		if (ret->has_energy)
			ret->energy_mj = mj;
		ret->stamp_us = 0;
	}
	if (!ret->has_power && api->power_mw) {
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
	return error ? errno_of(error) : -ERANGE;
}

static uint64_t value_of(const struct gpu *g, const struct sample *s)
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

/* The driver's stamp is wall time. Returns false where it cannot be true. */
static bool stamp_to_mono_ns(const struct host *h, long long stamp_us, uint64_t *ret)
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

/* Notes a read's value; tells whether it is another than the last. */
static bool note_value(struct gpu *g, uint64_t value, uint64_t t_ns)
{
	bool changed = g->has_value && value != g->value;

	if (changed || !g->has_value)
		g->changed_ns = t_ns;
	g->n_vain = changed ? 0 : g->n_vain + 1;
	g->has_value = true;
	g->value = value;
	return changed;
}

static void follow_pace(struct gpu *g, const struct sample *sample)
{
	edge_step_within(&g->edge, g->value, sample->t_ns - sample->t_err_ns,
		sample->t_ns + sample->t_err_ns);
	g->live = g->edge.located && g->edge.period_ns < UPDATE_LEAST_NS;
}

/* ---- watching, when GPUs are opened ------------------------------------------------------ */

static void sleep_until(const struct host *h, uint64_t t_ns)
{
	uint64_t now_ns = host_now_ns(h);
	struct timespec ts;

	if (t_ns <= now_ns)
		return;
	ts.tv_sec = (time_t) ((t_ns - now_ns) / NS_PER_S);
	ts.tv_nsec = (long) ((t_ns - now_ns) % NS_PER_S);
	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
}

/* Stamps that also move without the value tell when we asked, not when it was updated. */
static void judge_stamp(
	const struct host *h, struct watch *w, const struct sample *sample, bool changed)
{
	uint64_t t_ns;

	if (changed && sample->stamp_us != w->stamp_us &&
		stamp_to_mono_ns(h, sample->stamp_us, &t_ns))
		w->stamps_good++;
	else if (changed || sample->stamp_us != w->stamp_us)
		w->stamps_bad++;
}

static bool has_stamps(const struct watch *w)
{
	return w->stamps_good > 0 && w->stamps_bad == 0;
}

static bool is_watched_enough(const struct gpu *g, const struct watch *w)
{
	if (g->source == SOURCE_POWER || has_stamps(w))
		return w->n_updates >= WATCH_UPDATES;
	return g->edge.located && g->edge.pace_err_ns <= g->edge.period_ns / WATCH_PACE_PART;
}

static void watch_once(const struct host *h, const struct nvml_api *api, struct gpu *g)
{
	struct watch *w = &g->watch;
	bool first = !g->has_value, changed;
	uint64_t gap_ns = g->changed_ns;
	struct sample sample;
	int r = take_sample(h, api, g, &sample);

	if (r < 0) {
		w->due_ns = host_now_ns(h) + WATCH_EVERY_NS;
		if (r == -EOPNOTSUPP || ++w->n_errors >= FAILURES_MIN) {
			w->error = r;
			w->done = true;
		}
		return;
	}
	w->n_errors = 0;
	g->has_fields |= sample.from_fields;
	changed = note_value(g, value_of(g, &sample), sample.t_ns);
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
		follow_pace(g, &sample);
		w->due_ns = edge_next_ns(&g->edge, sample.t_ns + sample.t_err_ns);
	}
	w->done = is_watched_enough(g, w);
}

static void begin_watching(struct gpu *g, enum source source)
{
	g->source = source;
	g->watch = (struct watch) { 0 };
	g->has_value = false;
	edge_init(&g->edge, UPDATE_DEFAULT_NS);
	g->edge.measuring = true;
}

/* Watches the GPUs' values move, all at the same time: whether they do, how often, and whether the
 * driver's stamps tell when. */
static void watch_all(const struct host *h, const struct nvml_api *api, struct gpu *gpus, size_t n)
{
	uint64_t begun_ns = host_now_ns(h);

	for (;;) {
		uint64_t now_ns = host_now_ns(h), due_ns = UINT64_MAX;

		for (size_t i = 0; i < n; i++) {
			struct watch *w = &gpus[i].watch;

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

/* Finds out what the GPUs tell: their counters if they move, else their power. */
static void choose_sources(
	const struct host *h, const struct nvml_api *api, struct gpu *gpus, size_t n)
{
	bool again = false;

	for (size_t i = 0; i < n; i++)
		begin_watching(&gpus[i], SOURCE_COUNTER);
	watch_all(h, api, gpus, n);
	for (size_t i = 0; i < n; i++) {
		if (gpus[i].watch.error == 0 && gpus[i].watch.n_updates > 0)
			continue;
		begin_watching(&gpus[i], SOURCE_POWER);
		again = true;
	}
	if (again)
		watch_all(h, api, gpus, n);
}

/* A counter's pace was measured; of power only the shortest time between two changes is known,
 * which need not be a single update's. */
static void settle_pace(struct gpu *g)
{
	const struct watch *w = &g->watch;
	bool located = g->edge.located;
	uint64_t period_ns = g->edge.period_ns;

	g->stamped = g->source == SOURCE_COUNTER && has_stamps(w);
	if (g->stamped && w->n_updates > 1)
		period_ns = (uint64_t) (w->stamp_us - w->first_us) * NS_PER_US / (w->n_updates - 1);
	else if (g->source == SOURCE_POWER)
		period_ns = w->shortest_ns;
	else if (!located)
		period_ns = UPDATE_DEFAULT_NS;
	if (period_ns == 0 || (g->source == SOURCE_POWER && period_ns > UPDATE_DEFAULT_NS))
		period_ns = UPDATE_DEFAULT_NS;
	g->live = g->source == SOURCE_COUNTER && !g->stamped && period_ns < UPDATE_LEAST_NS;
	if (period_ns < UPDATE_LEAST_NS)
		period_ns = UPDATE_LEAST_NS;
	if (period_ns != g->edge.period_ns)
		edge_init(&g->edge, period_ns);
	else
		edge_restart(&g->edge);
	g->edge.measuring = g->source == SOURCE_COUNTER && !located;
	g->watch.done = true;
	g->has_value = false;
}

/* ---- opening ---------------------------------------------------------------------------- */

static bool is_wanted(const struct sensor_options *o, unsigned index, const char *uuid)
{
	for (size_t i = 0; i < o->n_gpus; i++) {
		uint64_t number;

		if (strcmp(o->gpus[i], uuid) == 0 ||
			(parse_u64(o->gpus[i], &number) == 0 && number == index))
			return true;
	}
	return o->n_gpus == 0;
}

static void describe(struct domain *d, const struct gpu *g)
{
	snprintf(d->name, sizeof(d->name), "gpu-%u", g->index);
	snprintf(d->scope, sizeof(d->scope), "whole board");
	snprintf(d->id, sizeof(d->id), "%.47s %.47s", g->uuid, g->name);
	d->kind = KIND_GPU;
	d->update_ns = g->edge.period_ns;
	d->scale_low_ppm = d->scale_high_ppm = SCALE_PPM;
	d->max_power_mw = g->max_power_mw;
	if (g->source == SOURCE_COUNTER) {
		d->unit_num = 1000; /* a count is a millijoule */
	} else {
		d->power_only = true;
		d->quality = FLAG_INTEGRATED;
	}
}

/* One more thing that does not work, beside what does. */
__attribute__((format(printf, 4, 5))) static void lack(
	struct sensor *s, int error, const char *fix, const char *format, ...)
{
	struct sensor_why before = s->why;
	char text[160];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	sensor_refuse(s, error, before.fix[0] ? before.fix : fix, "%.90s%s%s", before.reason,
		before.reason[0] ? "; " : "", text);
}

static const char *fix_of(int error)
{
	switch (error) {
	case NVML_ERROR_DRIVER_NOT_LOADED:
		return "sudo modprobe nvidia";
	case NVML_ERROR_LIB_RM_VERSION_MISMATCH:
	case NVML_ERROR_GPU_IS_LOST:
		return "sudo reboot";
	case NVML_ERROR_RESET_REQUIRED:
		return "sudo nvidia-smi --gpu-reset";
	case NVML_ERROR_NO_PERMISSION:
		return "sudo usermod -aG video $USER";
	default:
		return NULL;
	}
}

/* Names are asked for one byte shorter than there is room, so that they end in any case. */
static bool open_gpu(struct sensor *s, const struct nvml_api *api, unsigned index, struct gpu *g)
{
	unsigned limit_mw;
	int error;

	*g = (struct gpu) { .index = index, .max_power_mw = DEFAULT_MAX_MW };
	error = api->device_by_index(index, &g->device);
	if (error == NVML_ERROR_TIMEOUT || error == NVML_ERROR_UNKNOWN)
		error = api->device_by_index(index, &g->device);
	if (error != NVML_SUCCESS) {
		if (is_wanted(s->options, index, ""))
			lack(s, errno_of(error), fix_of(error), "GPU %u cannot be opened: %.60s",
				index, error_text(api, error));
		return false;
	}
	if (api->device_name)
		api->device_name(g->device, g->name, sizeof(g->name) - 1);
	if (api->device_uuid)
		api->device_uuid(g->device, g->uuid, sizeof(g->uuid) - 1);
	if (!is_wanted(s->options, index, g->uuid))
		return false;
	if (api->power_limit_mw && api->power_limit_mw(g->device, &limit_mw) == NVML_SUCCESS &&
		limit_mw < UINT32_MAX && (uint64_t) limit_mw * 3 > DEFAULT_MAX_MW)
		g->max_power_mw = (uint64_t) limit_mw * 3;
	return true;
}

static int look_for_nvidia(const char *name, void *ctx)
{
	const struct host *h = ctx;
	char path[300], text[16];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.200s/vendor", name);
	if (host_read_text(h, path, text, sizeof(text)) < 0 || strcmp(text, "0x10de") != 0)
		return 0;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.200s/class", name);
	/* 0x03....: a display controller, which is what the kernel calls any GPU. */
	return host_read_text(h, path, text, sizeof(text)) > 0 && strncmp(text, "0x03", 4) == 0;
}

static bool has_nvidia_gpu(const struct host *h)
{
	CLEANUP_FD int fd = host_open_file(h, "/sys/bus/pci/devices");

	return fd >= 0 && dirscan(fd, look_for_nvidia, (void *) (uintptr_t) h) > 0;
}

static int refuse_absent(struct sensor *s)
{
	if (has_nvidia_gpu(s->host))
		return sensor_refuse(s, -ENOENT,
			self_in_container() ? "docker run --gpus all -e "
					      "NVIDIA_DRIVER_CAPABILITIES=utility ..."
					    : "sudo apt install nvidia-driver",
			"there is an NVIDIA GPU, but not the driver's libnvidia-ml.so.1");
	return sensor_refuse(s, -ENODEV, NULL, "no NVIDIA GPU and no libnvidia-ml.so.1");
}

static int refuse_init(struct sensor *s, const struct nvml_api *api, int error)
{
	return sensor_refuse(s, errno_of(error), fix_of(error), "the driver refuses: %s",
		error_text(api, error));
}

/* Makes domains of the GPUs that tell something, and moves the others out of the row. */
static void add_domains(struct sensor *s, struct gpu *gpus, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct gpu *g = &gpus[i];
		struct domain *d;

		if (g->watch.error == -EOPNOTSUPP) {
			lack(s, g->watch.error, NULL,
				"GPU %u (%.40s) tells neither energy nor power", g->index, g->name);
			continue;
		}
		if (g->watch.error) {
			lack(s, g->watch.error, NULL, "GPU %u (%.40s) cannot be read: %s", g->index,
				g->name, strerror(-g->watch.error));
			continue;
		}
		settle_pace(g);
		d = sensor_add_domain(s);
		describe(d, g);
		if (s->period_ns == 0 || g->edge.period_ns / 2 < s->period_ns)
			s->period_ns = g->edge.period_ns / 2;
		if (g != &gpus[s->n_domains - 1])
			gpus[s->n_domains - 1] = *g;
	}
}

/* Those that were named and are not there. n: how many the driver has. */
static void miss_named(struct sensor *s, const struct gpu *gpus, size_t n_gpus, unsigned n)
{
	const struct sensor_options *o = s->options;

	for (size_t i = 0; i < o->n_gpus; i++) {
		struct sensor_options one = { .gpus = &o->gpus[i], .n_gpus = 1 };
		uint64_t number;
		bool there = parse_u64(o->gpus[i], &number) == 0 && number < n;

		for (size_t k = 0; k < n_gpus; k++)
			there |= is_wanted(&one, gpus[k].index, gpus[k].uuid);
		if (!there)
			lack(s, -ENODEV, NULL, "there is no GPU \"%.60s\"", o->gpus[i]);
	}
}

static int nvml_probe(struct sensor *s)
{
	struct nvml_api api = { 0 };

	if (!load(&api)) {
		if (api.library)
			dlclose(api.library);
		return refuse_absent(s);
	}
	dlclose(api.library);
	return 0;
}

static int nvml_open(struct sensor *s)
{
	struct nvml *state = s->state = calloc(1, sizeof(*state));
	size_t n_gpus = 0;
	unsigned n = 0;
	int error;

	if (!state)
		return sensor_refuse(s, -ENOMEM, NULL, "out of memory");
	if (!load(&state->api))
		return refuse_absent(s);
	error = state->api.init();
	if (error != NVML_SUCCESS)
		return refuse_init(s, &state->api, error);
	state->initialised = true;
	error = state->api.device_count(&n);
	if (error != NVML_SUCCESS)
		return refuse_init(s, &state->api, error);
	for (unsigned i = 0; i < n && n_gpus < MAX_GPUS; i++)
		n_gpus += open_gpu(s, &state->api, i, &state->gpus[n_gpus]);
	miss_named(s, state->gpus, n_gpus, n);
	choose_sources(s->host, &state->api, state->gpus, n_gpus);
	add_domains(s, state->gpus, n_gpus);
	if (s->n_domains > 0)
		return 0;
	if (s->why.reason[0])
		return -ENODEV;
	return sensor_refuse(s, -ENODEV, NULL, "the driver knows no GPU");
}

/* ---- reading ---------------------------------------------------------------------------- */

/* The driver's stamps are not to be believed any more: from now on the pace is followed. */
static void give_up_stamps(struct gpu *g)
{
	g->stamped = false;
	edge_restart(&g->edge);
}

static bool date_by_stamp(const struct host *h, struct gpu *g, const struct sample *sample,
	bool news, struct reading *r)
{
	uint64_t since_ns;

	if (!stamp_to_mono_ns(h, sample->stamp_us, &r->t_ns) || r->t_ns <= g->last.t_ns) {
		if (news && ++g->n_odd >= FAILURES_MIN)
			give_up_stamps(g);
		return false;
	}
	g->n_odd = 0;
	r->t_err_ns = sample->t_err_ns;
	/* The pace changes slowly if at all; more than one update may have come since. */
	since_ns = r->t_ns - g->last.t_ns;
	if (since_ns < g->edge.period_ns * 3 / 2 && since_ns > g->edge.period_ns / 2)
		g->edge.period_ns = (7 * g->edge.period_ns + since_ns) / 8;
	return true;
}

/* No power is drawn, and the counter stands: what it tells is true now. */
static bool is_asleep(const struct gpu *g, const struct sample *sample)
{
	return sample->has_power && sample->power_mw == 0 &&
		sample->t_ns > g->changed_ns + 3 * g->edge.period_ns;
}

/* When the value became true: from the driver's stamp, or from when updates are known to happen.
 * Returns false where that is not known, or was told before: the last reading then stands. */
static bool date(const struct host *h, struct gpu *g, const struct sample *sample, bool news,
	struct reading *r)
{
	r->t_ns = sample->t_ns;
	r->t_err_ns = sample->t_err_ns + g->edge.period_ns;
	if (g->source == SOURCE_POWER || is_asleep(g, sample))
		return true;
	/* A stamp tells of a value's time even where nobody saw it change. */
	if (g->stamped && (news || g->last.error))
		return date_by_stamp(h, g, sample, news, r);
	if (!news)
		return false;
	if (g->live)
		return r->t_ns > g->last.t_ns;
	if (g->edge.located && g->edge.err_ns <= g->edge.period_ns / 2) {
		r->t_ns = g->edge.at_ns;
		r->t_err_ns = g->edge.err_ns;
	} else if (g->n_rough++ < LOST_MAX) {
		return false;
	}
	/* What the first reading's time is off by stays in the first line. */
	if (g->last.t_ns == 0 && r->t_err_ns > g->edge.period_ns / ROUGH_PART &&
		g->n_rough++ < ROUGH_MAX)
		return false;
	if (g->edge.located)
		g->n_rough = 0;
	return r->t_ns > g->last.t_ns;
}

static uint64_t next_due_ns(const struct gpu *g, uint64_t t_ns)
{
	uint64_t period_ns = g->edge.period_ns, margin_ns = period_ns / 50, due_ns;

	if (g->source == SOURCE_POWER)
		return t_ns + period_ns / 2;
	if (g->live)
		return t_ns + LIVE_EVERY_NS;
	if (!g->stamped)
		return edge_next_ns(&g->edge, t_ns);
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

	if (++g->failures >= FAILURES_MIN)
		g->last = (struct reading) { .error = error, .t_ns = g->last.t_ns };
	if (g->failures < 10)
		pause_ns = UPDATE_DEFAULT_NS << (g->failures / 2);
	g->due_ns = host_now_ns(h) + pause_ns;
}

/* A counter that fell, or rose by more than can be, did not do so at an update: nothing is to be
 * learned of the pace from it. */
static bool is_broken(const struct gpu *g, uint64_t value, uint64_t t_ns)
{
	/* 1 mW for 1 ns is 10^-9 mJ */
	uint64_t ns = t_ns - g->changed_ns + 2 * g->edge.period_ns;

	return g->has_value && g->source == SOURCE_COUNTER &&
		(value < g->value || value - g->value > muldiv_u64(g->max_power_mw, ns, NS_PER_S));
}

static void read_gpu(struct sensor *s, struct gpu *g)
{
	const struct nvml *state = s->state;
	struct sample sample;
	struct reading r;
	bool news;
	int error = take_sample(s->host, &state->api, g, &sample);

	if (error < 0) {
		fail(s->host, g, error);
		return;
	}
	g->failures = 0;
	if (is_broken(g, value_of(g, &sample), sample.t_ns)) {
		edge_restart(&g->edge);
		g->has_value = false;
		g->n_rough = 0;
	}
	news = note_value(g, value_of(g, &sample), sample.t_ns);
	if (g->source == SOURCE_COUNTER && !g->stamped && !g->live)
		follow_pace(g, &sample);
	r = (struct reading) {
		.flags = g->source == SOURCE_COUNTER ? FLAG_MEASURED : FLAG_INTEGRATED,
		.raw = sample.energy_mj,
		.power_mw = sample.has_power ? sample.power_mw : g->last.power_mw,
	};
	if (date(s->host, g, &sample, news, &r))
		g->last = r;
	else if (sample.t_ns > g->changed_ns + STILL_MAX_NS && sample.has_power)
		g->last = (struct reading) { .error = -ENODATA, .t_ns = g->last.t_ns };
	g->due_ns = next_due_ns(g, sample.t_ns + sample.t_err_ns);
}

/* Nobody wanted readings for a while: nothing that was read before counts any more. */
static void begin_anew(struct gpu *g)
{
	edge_restart(&g->edge);
	g->has_value = false;
	g->failures = g->n_rough = 0;
	g->last = (struct reading) { .error = -EAGAIN };
	g->due_ns = 0;
}

static int nvml_read(struct sensor *s, struct reading *ret)
{
	struct nvml *state = s->state;
	uint64_t now_ns = host_now_ns(s->host), next_ns = UINT64_MAX;
	/* Later than was asked for, or sooner: there was a pause, if a short one. */
	bool paused = now_ns > state->next_ns + NS_PER_S, resumed = now_ns < state->next_ns;

	for (size_t i = 0; i < s->n_domains; i++) {
		struct gpu *g = &state->gpus[i];

		ret[i] = (struct reading) { 0 };
		if (sensor_skips(s, i, &ret[i]))
			continue;
		if (paused)
			begin_anew(g);
		if (now_ns >= g->due_ns || (resumed && g->failures))
			read_gpu(s, g);
		ret[i] = g->last;
		if (g->due_ns < next_ns)
			next_ns = g->due_ns;
	}
	state->next_ns = next_ns == UINT64_MAX ? 0 : next_ns;
	s->next_read_ns = state->next_ns;
	return 0;
}

static void nvml_close(struct sensor *s)
{
	struct nvml *state = s->state;

	if (!state)
		return;
	if (state->initialised && state->api.shutdown)
		state->api.shutdown();
	if (state->api.library)
		dlclose(state->api.library);
	free(state);
	s->state = NULL;
}

const struct sensor_ops sensor_nvml = {
	.name = "nvml",
	.role = SENSOR_HARDWARE,
	.polled = true,
	.probe = nvml_probe,
	.open = nvml_open,
	.read = nvml_read,
	.close = nvml_close,
};
