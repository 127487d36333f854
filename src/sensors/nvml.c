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

#define MAX_GPUS SENSOR_MAX_DOMAINS

/* Every GPU since Kepler but few updates its figures ten times a second; Volta and Pascal do it
 * fifty times (Yang et al., "Part-time Power Measurements", SC 2024). */
#define UPDATE_DEFAULT_NS (100 * NS_PER_MS)
#define UPDATE_LEAST_NS (5 * NS_PER_MS)

/* When a sensor is opened it is watched for so long, and read so often. */
#define WATCH_NS NS_PER_S
#define WATCH_EVERY_NS (2 * NS_PER_MS)
#define WATCH_UPDATES 4

/* The vendor's own statement on board power, see docs/design.md. */
#define SCALE_PPM 50000

#define DEFAULT_MAX_MW UINT64_C(2000000)

enum {
	NVML_SUCCESS = 0,
	NVML_ERROR_NO_PERMISSION = 4,
	NVML_ERROR_DRIVER_NOT_LOADED = 9,
	NVML_ERROR_TIMEOUT = 10,
	NVML_ERROR_GPU_IS_LOST = 15,
	NVML_ERROR_RESET_REQUIRED = 16,
	NVML_ERROR_LIB_RM_VERSION_MISMATCH = 18,
	NVML_ERROR_NOT_SUPPORTED = 3,

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

struct gpu {
	nvml_device device;
	enum source source;
	bool stamped; /* the driver tells when the value was updated */
	struct edge edge;
	uint64_t due_ns;
	struct reading last;
	unsigned failures; /* in a row */
};

struct nvml {
	struct nvml_api api;
	bool initialised;
	struct gpu gpus[MAX_GPUS]; /* gpu i is domain i */
};

/* ---- loading ---------------------------------------------------------------------------- */

static void *find(void *library, const char *name)
{
	return dlsym(library, name);
}

/* ISO C has no cast from an object's to a function's address; POSIX promises that this works. */
#define RESOLVE(api, member, name)                                                                 \
	do {                                                                                       \
		void *address_ = find((api)->library, name);                                       \
		memcpy(&(api)->member, &address_, sizeof(address_));                               \
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
	return api->error_string ? api->error_string(error) : "error";
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
		*ret = f->value.d > 0 ? (uint64_t) f->value.d : 0;
		return f->value.d >= 0;
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
	uint64_t energy_mj;
	uint64_t power_mw;
	long long stamp_us; /* of the value that counts, as the driver tells it; 0: not told */
	uint64_t t_ns;      /* the middle of the call */
	uint64_t t_err_ns;
};

static void read_fields(const struct nvml_api *api, const struct gpu *g, struct sample *ret)
{
	struct nvml_field fields[2] = { { .id = NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION },
		{ .id = NVML_FI_DEV_POWER_INSTANT } };

	if (api->fields(g->device, 2, fields) != NVML_SUCCESS)
		return;
	ret->has_energy = field_u64(&fields[0], &ret->energy_mj);
	ret->has_power = field_u64(&fields[1], &ret->power_mw);
	ret->stamp_us = ret->has_energy ? fields[0].timestamp_us
		: ret->has_power	? fields[1].timestamp_us
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
	if (api->fields)
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
	after_ns = host_now_ns(h);
	ret->t_ns = before_ns + (after_ns - before_ns) / 2;
	ret->t_err_ns = (after_ns - before_ns) / 2;
	if (g->source == SOURCE_COUNTER ? ret->has_energy : ret->has_power)
		return 0;
	return errno_of(error);
}

static uint64_t value_of(const struct gpu *g, const struct sample *s)
{
	return g->source == SOURCE_COUNTER ? s->energy_mj : s->power_mw;
}

/* The driver's stamp is wall time. */
static uint64_t stamp_to_mono_ns(const struct host *h, long long stamp_us)
{
	int64_t wall_ns = clock_wall_ns(h->clock);
	uint64_t mono_ns = host_now_ns(h);
	int64_t age_ns = wall_ns - (int64_t) stamp_us * 1000;

	if (age_ns < 0)
		age_ns = 0;
	return (uint64_t) age_ns < mono_ns ? mono_ns - (uint64_t) age_ns : 0;
}

/* ---- opening ---------------------------------------------------------------------------- */

struct watch {
	unsigned n_updates; /* changes of the value */
	uint64_t first_ns;  /* of the first and of the last change */
	uint64_t last_ns;
	unsigned stamp_moves_alone; /* the stamp changed and the value did not */
	unsigned stamp_moves_along;
};

static void sleep_ns(uint64_t ns)
{
	struct timespec ts = { .tv_sec = (time_t) (ns / NS_PER_S),
		.tv_nsec = (long) (ns % NS_PER_S) };

	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
}

/* Watches a GPU's value move, to learn how often it does and whether the driver's stamps tell
 * when. Returns 0 or -errno. */
static int watch_gpu(
	const struct host *h, const struct nvml_api *api, const struct gpu *g, struct watch *ret)
{
	uint64_t until_ns = host_now_ns(h) + WATCH_NS;
	struct sample before, now;
	int r = take_sample(h, api, g, &before);

	*ret = (struct watch) { 0 };
	while (r == 0 && host_now_ns(h) < until_ns && ret->n_updates < WATCH_UPDATES) {
		sleep_ns(WATCH_EVERY_NS);
		r = take_sample(h, api, g, &now);
		if (r < 0)
			break;
		if (value_of(g, &now) != value_of(g, &before)) {
			if (ret->n_updates++ == 0)
				ret->first_ns = now.t_ns;
			ret->last_ns = now.t_ns;
			ret->stamp_moves_along += now.stamp_us != before.stamp_us;
		} else if (now.stamp_us != before.stamp_us) {
			ret->stamp_moves_alone++;
		}
		before = now;
	}
	return r;
}

static uint64_t period_of(const struct watch *w)
{
	uint64_t period_ns;

	if (w->n_updates < 2)
		return UPDATE_DEFAULT_NS;
	period_ns = (w->last_ns - w->first_ns) / (w->n_updates - 1);
	return period_ns < UPDATE_LEAST_NS ? UPDATE_LEAST_NS : period_ns;
}

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

static void describe(struct domain *d, const struct nvml_api *api, const struct gpu *g,
	unsigned index, const char *name, const char *uuid, uint64_t update_ns)
{
	unsigned limit_mw;

	snprintf(d->name, sizeof(d->name), "gpu-%u", index);
	snprintf(d->scope, sizeof(d->scope), "whole board");
	snprintf(d->id, sizeof(d->id), "%.47s %.47s", uuid, name);
	d->kind = KIND_GPU;
	d->update_ns = update_ns;
	d->scale_low_ppm = d->scale_high_ppm = SCALE_PPM;
	d->max_power_mw = DEFAULT_MAX_MW;
	if (api->power_limit_mw && api->power_limit_mw(g->device, &limit_mw) == NVML_SUCCESS &&
		(uint64_t) limit_mw * 3 > DEFAULT_MAX_MW)
		d->max_power_mw = (uint64_t) limit_mw * 3;
	if (g->source == SOURCE_COUNTER) {
		d->unit_num = 1000; /* a count is a millijoule */
	} else {
		d->power_only = true;
		d->quality = FLAG_INTEGRATED;
	}
}

/* Finds out what a GPU tells: its counter if it moves, else its power. */
static int choose_source(const struct host *h, const struct nvml_api *api, struct gpu *g,
	struct watch *ret_watch)
{
	int r;

	g->source = SOURCE_COUNTER;
	r = watch_gpu(h, api, g, ret_watch);
	if (r == 0 && ret_watch->n_updates > 0)
		return 0;
	g->source = SOURCE_POWER;
	r = watch_gpu(h, api, g, ret_watch);
	return r;
}

static void add_gpu(struct sensor *s, unsigned index)
{
	struct nvml *state = s->state;
	const struct nvml_api *api = &state->api;
	struct gpu g = { 0 };
	char name[96] = "", uuid[96] = "";
	struct watch watch;
	struct domain *d;
	int error = api->device_by_index(index, &g.device), r;

	if (error != NVML_SUCCESS) {
		sensor_refuse(s, errno_of(error), NULL, "GPU %u cannot be opened: %s", index,
			error_text(api, error));
		return;
	}
	if (api->device_name)
		api->device_name(g.device, name, sizeof(name));
	if (api->device_uuid)
		api->device_uuid(g.device, uuid, sizeof(uuid));
	if (!is_wanted(s->options, index, uuid))
		return;
	r = choose_source(s->host, api, &g, &watch);
	if (r < 0) {
		sensor_refuse(s, r, NULL, "GPU %u (%s) tells neither energy nor power", index,
			name);
		return;
	}
	d = sensor_add_domain(s);
	if (!d)
		return;
	/* Stamps that also move without the value tell when we asked, not when it was updated. */
	g.stamped = watch.stamp_moves_along > 0 && watch.stamp_moves_alone == 0;
	edge_init(&g.edge, period_of(&watch));
	describe(d, api, &g, index, name, uuid, g.edge.period_ns);
	state->gpus[s->n_domains - 1] = g;
	if (s->period_ns == 0 || g.edge.period_ns / 2 < s->period_ns)
		s->period_ns = g.edge.period_ns / 2;
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
	const char *fix = NULL;

	if (error == NVML_ERROR_DRIVER_NOT_LOADED)
		fix = "sudo modprobe nvidia";
	else if (error == NVML_ERROR_LIB_RM_VERSION_MISMATCH)
		fix = "sudo reboot";
	else if (error == NVML_ERROR_NO_PERMISSION)
		fix = "sudo usermod -aG video $USER";
	return sensor_refuse(s, errno_of(error), fix, "the driver refuses: %s",
		error_text(api, error));
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
	for (unsigned i = 0; i < n && i < MAX_GPUS; i++)
		add_gpu(s, i);
	if (s->n_domains > 0)
		return 0;
	if (s->why.reason[0])
		return -ENODEV;
	return sensor_refuse(s, -ENODEV, NULL,
		n ? "none of the %u GPUs is one of those named" : "the driver knows %u GPUs", n);
}

/* ---- reading ---------------------------------------------------------------------------- */

/* The value's own time, from the driver's stamp or from when updates are known to happen. Until
 * the first update is found there is no reading. */
static void date(const struct host *h, const struct gpu *g, const struct sample *sample,
	struct reading *r)
{
	r->t_ns = sample->t_ns;
	r->t_err_ns = sample->t_err_ns + g->edge.period_ns;
	if (g->source == SOURCE_POWER)
		return;
	if (g->stamped) {
		r->t_ns = stamp_to_mono_ns(h, sample->stamp_us);
		r->t_err_ns = sample->t_err_ns;
	} else if (g->edge.located) {
		r->t_ns = g->edge.at_ns < sample->t_ns ? g->edge.at_ns : sample->t_ns;
		r->t_err_ns = g->edge.err_ns;
	} else {
		r->error = -EAGAIN;
	}
}

static void read_gpu(struct sensor *s, struct gpu *g)
{
	const struct nvml *state = s->state;
	struct reading *r = &g->last;
	struct sample sample;
	bool news;
	int error = take_sample(s->host, &state->api, g, &sample);

	if (error < 0) {
		*r = (struct reading) { .error = error };
		edge_restart(&g->edge);
		/* Ever more rarely, up to once in ten seconds: a lost GPU makes calls slow. */
		g->failures++;
		g->due_ns = host_now_ns(s->host) +
			(g->failures < 10 ? UPDATE_DEFAULT_NS << (g->failures / 2)
					  : 10 * NS_PER_S);
		return;
	}
	g->failures = 0;
	news = edge_step(&g->edge, value_of(g, &sample), sample.t_ns);
	/* Between updates there is nothing new: the reading of the last one stands. */
	if (news || r->error || r->t_ns == 0 || g->source == SOURCE_POWER) {
		*r = (struct reading) {
			.flags = g->source == SOURCE_COUNTER ? FLAG_MEASURED : FLAG_INTEGRATED,
			.raw = sample.energy_mj,
			.power_mw = sample.has_power ? sample.power_mw : 0
		};
		date(s->host, g, &sample, r);
	}
	if (g->source == SOURCE_POWER)
		g->due_ns = sample.t_ns + g->edge.period_ns / 2;
	else if (g->stamped)
		g->due_ns = sample.t_ns + g->edge.period_ns;
	else
		g->due_ns = edge_next_ns(&g->edge, sample.t_ns);
}

static int nvml_read(struct sensor *s, struct reading *ret)
{
	struct nvml *state = s->state;
	uint64_t now_ns = host_now_ns(s->host), next_ns = UINT64_MAX;

	for (size_t i = 0; i < s->n_domains; i++) {
		struct gpu *g = &state->gpus[i];

		ret[i] = (struct reading) { 0 };
		if (sensor_skips(s, i, &ret[i]))
			continue;
		/* After a pause nothing that was known of the pace's phase holds any more. */
		if (now_ns > g->edge.read_ns + NS_PER_S && g->edge.read_ns && !g->failures) {
			edge_restart(&g->edge);
			g->last = (struct reading) { .error = -EAGAIN };
			g->due_ns = 0;
		}
		if (now_ns >= g->due_ns)
			read_gpu(s, g);
		ret[i] = g->last;
		if (g->due_ns < next_ns)
			next_ns = g->due_ns;
	}
	s->next_read_ns = next_ns == UINT64_MAX ? 0 : next_ns;
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
