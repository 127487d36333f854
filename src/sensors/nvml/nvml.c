// SPDX-License-Identifier: MIT
/*
 * NVIDIA GPUs through the driver's library (nvml_api.h). A GPU's energy counter is used where there
 * is one and it moves; else its power is read at half its update period and added up (nvml_watch.h,
 * nvml_gpu.h).
 *
 * Calls may take milliseconds or hang with the driver, so this sensor has a thread of its own.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sensors/nvml/nvml_gpu.h"
#include "sensors/nvml/nvml_pci.h"
#include "sensors/nvml/nvml_users.h"
#include "sensors/nvml/nvml_watch.h"
#include "meter/sensor.h"
#include "util/parse.h"
#include "machine/self.h"

#define MAX_GPUS SENSOR_MAX_DOMAINS

/* The vendor's own statement on board power, see docs/design.md. */
#define SCALE_PPM 50000

#define DEFAULT_MAX_MW UINT64_C(2000000)

/* When every GPU has failed so often in a row, the driver may have been loaded anew: it is begun with
 * from the start, but not more often than this. */
#define REVIVE_FAILURES 6
#define REVIVE_EVERY_NS (10 * NS_PER_S)

struct nvml {
	struct nvml_api api;
	bool initialised;
	uint64_t next_ns;          /* when the next read is wanted */
	uint64_t revive_ns;        /* not sooner than this */
	struct gpu gpus[MAX_GPUS]; /* gpu i is domain i */
};

/* ---- which GPUs ------------------------------------------------------------------------- */

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
	snprintf(d->scope, sizeof(d->scope), "%s%s%s",
		g->module ? "module incl. CPU" : "whole board",
		g->parted ? ", all MIG instances" : "",
		g->source == SOURCE_POWER && g->averaged ? ", 1 s mean" : "");
	/* The UUID is this one GPU's; others have the same name. */
	d->id_public_at = (uint8_t) snprintf(d->id, sizeof(d->id), "%.47s ", g->uuid);
	snprintf(d->id + d->id_public_at, sizeof(d->id) - d->id_public_at, "%.47s", g->name);
	d->kind = KIND_GPU;
	if (g->module)
		d->covers = KIND_BIT(KIND_CPU) | KIND_BIT(KIND_DRAM);
	d->tells_users = g->tells_users;
	d->update_ns = g->pace.period_ns;
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

/* Who opens a GPU wakes it. Which is which is told by the kernel, if it knows as many. */
static bool is_asleep(struct sensor *s, unsigned index, unsigned n_gpus)
{
	char ids[MAX_GPUS][NVML_PCI_ID_SIZE];

	if (index >= MAX_GPUS || nvml_pci_gpus(s->host, ids, MAX_GPUS) != n_gpus ||
		n_gpus > MAX_GPUS || !nvml_pci_sleeps(s->host, ids[index]))
		return false;
	if (is_wanted(s->options, index, ""))
		lack(s, -ENODATA, NULL, "GPU %u (%s) sleeps, and is not woken to be measured",
			index, ids[index]);
	return true;
}

static void ask_for_details(const struct nvml_api *api, struct gpu *g)
{
	struct nvml_pci_info pci = { .domain = 0 };
	unsigned limit_mw, parted = 0, pending;

	if (api->power_limit_mw && api->power_limit_mw(g->device, &limit_mw) == NVML_SUCCESS &&
		limit_mw < UINT32_MAX && (uint64_t) limit_mw * 3 > DEFAULT_MAX_MW)
		g->max_power_mw = (uint64_t) limit_mw * 3;
	if (api->pci_info && api->pci_info(g->device, &pci) == NVML_SUCCESS) {
		pci.bus_id[sizeof(pci.bus_id) - 1] = '\0';
		nvml_pci_id(pci.bus_id, g->pci_id);
	}
	if (api->mig_mode && api->mig_mode(g->device, &parted, &pending) == NVML_SUCCESS)
		g->parted = parted == 1;
}

/* Names are asked for one byte shorter than there is room, so that they end in any case. */
static bool open_gpu(struct sensor *s, const struct nvml_api *api, unsigned index, struct gpu *g)
{
	int error;

	*g = (struct gpu) { .index = index, .max_power_mw = DEFAULT_MAX_MW };
	error = api->device_by_index(index, &g->device);
	if (error == NVML_ERROR_TIMEOUT || error == NVML_ERROR_UNKNOWN)
		error = api->device_by_index(index, &g->device);
	if (error != NVML_SUCCESS) {
		if (is_wanted(s->options, index, ""))
			lack(s, nvml_errno(error), nvml_fix(error),
				"GPU %u cannot be opened: %.60s", index,
				nvml_error_text(api, error));
		return false;
	}
	if (api->device_name)
		api->device_name(g->device, g->name, sizeof(g->name) - 1);
	if (api->device_uuid)
		api->device_uuid(g->device, g->uuid, sizeof(g->uuid) - 1);
	if (!is_wanted(s->options, index, g->uuid))
		return false;
	ask_for_details(api, g);
	return true;
}

/* The GPU's use tells little of a module's energy, and of MIG instances nothing is told. The pids are
 * the machine's: within a namespace they are others'. */
static bool can_tell_users(struct sensor *s, const struct nvml_api *api, const struct gpu *g)
{
	if (g->module || g->parted || !gpu_tells_users(api, g))
		return false;
	if (self_has_machine_pids())
		return true;
	lack(s, -EOPNOTSUPP, "docker run --pid=host ...",
		"GPU %u: which process uses it is not known in a PID namespace", g->index);
	return false;
}

/* Makes domains of the GPUs that tell something, and moves the others out of the row. */
static void add_domains(struct sensor *s, const struct nvml_api *api, struct gpu *gpus, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct gpu *g = &gpus[i];
		struct domain *d;

		if (g->watch.error == -EOPNOTSUPP) {
			lack(s, g->watch.error, NULL,
				"GPU %u (%.40s) tells neither energy nor power%s", g->index,
				g->name,
				strstr(g->name, "nvgpu") ? ": a Jetson's rails do, see jetson"
							 : "");
			continue;
		}
		if (g->watch.error) {
			lack(s, g->watch.error, NULL, "GPU %u (%.40s) cannot be read: %s", g->index,
				g->name, strerror(-g->watch.error));
			continue;
		}
		gpu_settle_pace(g);
		g->tells_users = can_tell_users(s, api, g);
		d = sensor_add_domain(s);
		describe(d, g);
		if (s->period_ns == 0 || g->pace.period_ns / 2 < s->period_ns)
			s->period_ns = g->pace.period_ns / 2;
		if (g != &gpus[s->n_domains - 1])
			gpus[s->n_domains - 1] = *g;
	}
}

/* "0 (NAME, UUID), 1 (...)": all that the driver has. */
static void list_gpus(const struct nvml_api *api, unsigned n, char *ret, size_t size)
{
	size_t len = (size_t) snprintf(ret, size, "there %s", n ? "are" : "is none");

	for (unsigned i = 0; i < n && i < MAX_GPUS && len < size; i++) {
		char name[64] = "", uuid[64] = "";
		nvml_device device;

		if (api->device_by_index(i, &device) == NVML_SUCCESS) {
			if (api->device_name)
				api->device_name(device, name, sizeof(name) - 1);
			if (api->device_uuid)
				api->device_uuid(device, uuid, sizeof(uuid) - 1);
		}
		len += (size_t) snprintf(
			ret + len, size - len, "%s %u (%.31s, %.40s)", i ? "," : "", i, name, uuid);
	}
}

/* Those that were named and are not there: what is asked of the others would lack them. n: how many the driver
 * has. */
static void miss_named(struct sensor *s, const struct nvml *state, size_t n_gpus, unsigned n)
{
	const struct sensor_options *o = s->options;

	for (size_t i = 0; i < o->n_gpus; i++) {
		struct sensor_options one = { .gpus = &o->gpus[i], .n_gpus = 1 };
		uint64_t number;
		bool there = parse_u64(o->gpus[i], &number) == 0 && number < n;
		char all[112];

		for (size_t k = 0; k < n_gpus; k++)
			there |= is_wanted(&one, state->gpus[k].index, state->gpus[k].uuid);
		if (there)
			continue;
		list_gpus(&state->api, n, all, sizeof(all));
		lack(s, -ENODEV, NULL, "no GPU '%.40s': %s", o->gpus[i], all);
		s->why.absent = true;
	}
}

/* ---- why there is none ------------------------------------------------------------------ */

static int refuse_absent(struct sensor *s)
{
	s->why.absent = s->options->n_gpus > 0;
	if (nvml_pci_gpus(s->host, NULL, 0) > 0)
		return sensor_refuse(s, -ENOENT,
			self_in_container() ? "docker run --gpus all -e "
					      "NVIDIA_DRIVER_CAPABILITIES=utility ..."
					    : "sudo apt install nvidia-driver",
			"there is an NVIDIA GPU, but not the driver's libnvidia-ml.so.1");
	return sensor_refuse(s, -ENODEV, NULL, "no NVIDIA GPU and no libnvidia-ml.so.1");
}

static int refuse_init(struct sensor *s, const struct nvml_api *api, int error)
{
	return sensor_refuse(s, nvml_errno(error), nvml_fix(error), "the driver refuses: %s",
		nvml_error_text(api, error));
}

/* ---- the backend ------------------------------------------------------------------------ */

static int nvml_probe(struct sensor *s)
{
	struct nvml_api api = { 0 };
	bool loaded = nvml_load(&api);

	nvml_unload(&api);
	return loaded ? 0 : refuse_absent(s);
}

static int nvml_open(struct sensor *s)
{
	struct nvml *state = s->state = calloc(1, sizeof(*state));
	size_t n_gpus = 0;
	unsigned n = 0;
	int error;

	if (!state)
		return sensor_refuse(s, -ENOMEM, NULL, "out of memory");
	if (!nvml_load(&state->api))
		return refuse_absent(s);
	error = state->api.init();
	if (error != NVML_SUCCESS)
		return refuse_init(s, &state->api, error);
	state->initialised = true;
	error = state->api.device_count(&n);
	if (error != NVML_SUCCESS)
		return refuse_init(s, &state->api, error);
	for (unsigned i = 0; i < n && n_gpus < MAX_GPUS; i++)
		n_gpus += !is_asleep(s, i, n) && open_gpu(s, &state->api, i, &state->gpus[n_gpus]);
	miss_named(s, state, n_gpus, n);
	gpus_watch(s->host, &state->api, state->gpus, n_gpus);
	add_domains(s, &state->api, state->gpus, n_gpus);
	s->users = calloc(MAX_GPUS, sizeof(*s->users));
	if (!s->users)
		return sensor_refuse(s, -ENOMEM, NULL, "out of memory");
	if (s->n_domains > 0)
		return 0;
	if (s->why.reason[0])
		return -ENODEV;
	return sensor_refuse(s, -ENODEV, NULL, "the driver knows no GPU");
}

/* ---- when the driver is another ------------------------------------------------------------ */

static bool all_have_failed(const struct sensor *s, const struct nvml *state)
{
	for (size_t i = 0; i < s->n_domains; i++)
		if (state->gpus[i].failures < REVIVE_FAILURES)
			return false;
	return s->n_domains > 0;
}

/* The same GPU, whatever its number is now; NULL: it is not there. */
static nvml_device find_again(const struct nvml_api *api, const struct gpu *g)
{
	nvml_device device;
	unsigned n = 0;

	if (api->device_count(&n) != NVML_SUCCESS)
		return NULL;
	for (unsigned i = 0; i < n; i++) {
		char uuid[sizeof(g->uuid)] = "";

		if ((!g->uuid[0] && i != g->index) ||
			api->device_by_index(i, &device) != NVML_SUCCESS)
			continue;
		if (!g->uuid[0])
			return device;
		api->device_uuid(device, uuid, sizeof(uuid) - 1);
		if (strcmp(uuid, g->uuid) == 0)
			return device;
	}
	return NULL;
}

/* What the library knew of a driver that is gone, it does not forget by itself. */
static void revive(struct sensor *s, struct nvml *state)
{
	const struct nvml_api *api = &state->api;

	if (state->initialised && api->shutdown)
		api->shutdown();
	state->initialised = api->init() == NVML_SUCCESS;
	for (size_t i = 0; i < s->n_domains; i++) {
		struct gpu *g = &state->gpus[i];

		g->device = state->initialised ? find_again(api, g) : NULL;
		g->due_ns = 0;
	}
	state->revive_ns = host_now_ns(s->host) + REVIVE_EVERY_NS;
}

static void read_gpu(
	const struct host *h, const struct nvml_api *api, struct gpu *g, struct domain_users *users)
{
	if (nvml_pci_sleeps(h, g->pci_id)) {
		gpu_let_sleep(h, g);
		return;
	}
	gpu_read(h, api, g);
	if (g->tells_users && g->last.error == 0)
		gpu_look_at_users(h, api, g, users);
}

static int nvml_read(struct sensor *s, struct reading *ret)
{
	struct nvml *state = s->state;
	uint64_t now_ns = host_now_ns(s->host), next_ns = UINT64_MAX;
	/* Later than was asked for, or sooner: there was a pause, if a short one. */
	bool paused = now_ns > state->next_ns + NS_PER_S, resumed = now_ns < state->next_ns;

	if (now_ns >= state->revive_ns && all_have_failed(s, state))
		revive(s, state);
	for (size_t i = 0; i < s->n_domains; i++) {
		struct gpu *g = &state->gpus[i];

		ret[i] = (struct reading) { 0 };
		if (sensor_skips(s, i, &ret[i]))
			continue;
		if (paused)
			gpu_begin_anew(g);
		if (now_ns >= g->due_ns || (resumed && g->failures))
			read_gpu(s->host, &state->api, g, &s->users[i]);
		ret[i] = g->last;
		ret[i].looked_ns = s->users[i].looked_ns;
		ret[i].busy_ppm = gpu_busy_ppm(g, &s->users[i]);
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
	nvml_unload(&state->api);
	free(s->users);
	s->users = NULL;
	free(state);
	s->state = NULL;
}

const struct sensor_ops sensor_nvml = {
	.name = "nvml",
	.role = SENSOR_HARDWARE,
	.gives = "NVIDIA GPUs",
	.kinds = KIND_BIT(KIND_GPU),
	.sure_kinds = KIND_BIT(KIND_GPU),
	.polled = true,
	.probe = nvml_probe,
	.open = nvml_open,
	.read = nvml_read,
	.close = nvml_close,
};
