// SPDX-License-Identifier: MIT
#include "model.h"

#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "nvml_abi.h"

__extension__ typedef unsigned __int128 u128;

#define VARIABLE "FAKE_NVML"
#define NS_PER_S 1e9
#define FOR_EVER_NS UINT64_MAX

/* ---- reading ---------------------------------------------------------------------------- */

__attribute__((noreturn)) static void give_up(const char *what)
{
	fprintf(stderr, "fake NVML: bad " VARIABLE ": %s\n", what);
	abort();
}

static double number(const json_t *object, const char *key, double fallback)
{
	const json_t *v = json_object_get(object, key);

	if (!v)
		return fallback;
	if (!json_is_number(v))
		give_up(key);
	return json_number_value(v);
}

static bool flag(const json_t *object, const char *key, bool fallback)
{
	const json_t *v = json_object_get(object, key);

	if (v && !json_is_boolean(v))
		give_up(key);
	return v ? json_is_true(v) : fallback;
}

static const char *text(const json_t *object, const char *key, const char *fallback)
{
	const json_t *v = json_object_get(object, key);

	if (v && !json_is_string(v))
		give_up(key);
	return v ? json_string_value(v) : fallback;
}

static uint64_t ns_of(double seconds)
{
	if (!(seconds >= 0) || seconds > 1e9)
		give_up("a time");
	return (uint64_t) llround(seconds * NS_PER_S);
}

static uint64_t ms_of(const json_t *object, const char *key, double fallback_ms)
{
	return ns_of(number(object, key, fallback_ms) / 1e3);
}

static void read_curve(const json_t *curve, struct fake_gpu *g)
{
	const json_t *segment;
	size_t i;

	if (json_array_size(curve) == 0 || json_array_size(curve) > FAKE_MAX_SEGMENTS)
		give_up("curve");
	json_array_foreach(curve, i, segment)
	{
		g->segments[i].ns = ns_of(json_number_value(json_array_get(segment, 0)));
		g->segments[i].mw = (uint64_t) llround(
			json_number_value(json_array_get(segment, 1)) * 1e3);
		g->period_ns += g->segments[i].ns;
	}
	g->n_segments = json_array_size(curve);
	if (g->period_ns == 0)
		give_up("curve");
}

static void read_fields(const json_t *object, struct fake_gpu *g)
{
	static const unsigned usual[] = { NVML_FIELD_TOTAL_ENERGY, NVML_FIELD_POWER_AVERAGE,
		NVML_FIELD_POWER_INSTANT, NVML_FIELD_ENERGY_OF_SCOPE };
	const json_t *fields = json_object_get(object, "fields"), *v;
	const char *key;
	size_t i;

	g->fields = !json_is_false(fields);
	if (!json_is_array(fields)) {
		memcpy(g->field_ids, usual, sizeof(usual));
		g->n_field_ids = sizeof(usual) / sizeof(usual[0]);
	}
	json_array_foreach(fields, i, v) if (g->n_field_ids < FAKE_MAX_FIELDS)
		g->field_ids[g->n_field_ids++] = (unsigned) json_integer_value(v);
	json_object_foreach(json_object_get(object, "value_types"), key, v)
	{
		if (g->n_value_types == FAKE_MAX_FIELDS)
			give_up("value_types");
		g->value_types[g->n_value_types].id = (unsigned) strtoul(key, NULL, 10);
		g->value_types[g->n_value_types++].type = (unsigned) json_integer_value(v);
	}
}

static void read_processes(const json_t *list, struct fake_gpu *g)
{
	const json_t *v;
	size_t i;

	if (json_array_size(list) > FAKE_MAX_PROCESSES)
		give_up("processes");
	json_array_foreach(list, i, v)
	{
		struct fake_process *p = &g->processes[g->n_processes++];
		const char *type = text(v, "type", "compute");

		p->pid = (unsigned) number(v, "pid", 0);
		snprintf(p->pid_file, sizeof(p->pid_file), "%s", text(v, "pid_file", ""));
		p->type = strcmp(type, "graphics") == 0 ? FAKE_GRAPHICS
			: strcmp(type, "mps") == 0      ? FAKE_MPS
							: FAKE_COMPUTE;
		p->mib = (unsigned) number(v, "mib", 100);
		p->sm_percent = (unsigned) number(v, "sm", 0);
		p->memory_percent = (unsigned) number(v, "mem", 0);
	}
}

static void read_gpu(const json_t *object, unsigned index, struct fake_gpu *g)
{
	const json_t *utilization = json_object_get(object, "utilization");
	const char *stamps = text(object, "stamps", "update");
	char uuid[64], bus_id[32];

	snprintf(uuid, sizeof(uuid), "GPU-%08x-0000-4000-8000-000000000000", index);
	snprintf(bus_id, sizeof(bus_id), "%08X:%02X:%02X.0", 0u, index + 1, 0u);
	*g = (struct fake_gpu) { .index = index };
	snprintf(g->name, sizeof(g->name), "%s", text(object, "name", "Fake GPU"));
	snprintf(g->uuid, sizeof(g->uuid), "%s", text(object, "uuid", uuid));
	snprintf(g->bus_id, sizeof(g->bus_id), "%s", text(object, "bus_id", bus_id));
	read_curve(json_object_get(object, "curve"), g);
	g->update_ns = ms_of(object, "update_ms", 100);
	g->phase_ns = ms_of(object, "phase_ms", 0);
	g->jitter_ns = ms_of(object, "jitter_ms", 0);
	g->window_ns = ms_of(object, "window_ms", 0);
	g->average_ns = ms_of(object, "average_ms", 1000);
	g->counter = flag(object, "counter", true);
	g->counter_from_ns = ns_of(number(object, "counter_from_s", 0));
	g->counter_plus_mj = (uint64_t) number(object, "counter_plus_mj", 0);
	g->power = flag(object, "power", true);
	read_fields(object, g);
	g->stamps = strcmp(stamps, "none") == 0 ? FAKE_STAMPS_NONE
		: strcmp(stamps, "call") == 0   ? FAKE_STAMPS_CALL
						: FAKE_STAMPS_UPDATE;
	g->stamp_plus_ns = (int64_t) llround(number(object, "stamp_plus_ms", 0) * 1e6);
	g->unterminated = flag(object, "unterminated", false);
	g->limit_mw = (unsigned) (number(object, "limit_w", 700) * 1e3);
	g->architecture = (unsigned) number(object, "architecture", 9);
	g->module_only = flag(object, "module_only", false);
	g->n_mig = (unsigned) number(object, "mig", 0);
	if (g->n_mig > FAKE_MAX_MIG)
		give_up("mig");
	g->tells_use = utilization;
	g->gpu_percent = (unsigned) json_integer_value(json_array_get(utilization, 0));
	g->memory_percent = (unsigned) json_integer_value(json_array_get(utilization, 1));
	g->process_stride = (size_t) number(object, "process_stride", 24);
	read_processes(json_object_get(object, "processes"), g);
}

static enum fake_fault_kind fault_kind(const char *what)
{
	static const char *const names[] = { [FAKE_ERROR] = "error",
		[FAKE_FIELD] = "field",
		[FAKE_UNFILLED] = "unfilled",
		[FAKE_SLOW] = "slow",
		[FAKE_HANG] = "hang",
		[FAKE_STUCK] = "stuck",
		[FAKE_RESTART] = "restart",
		[FAKE_JUMP] = "jump",
		[FAKE_RELOAD] = "reload" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], what) == 0)
			return (enum fake_fault_kind) i;
	give_up(what);
}

static void read_fault(const json_t *object, struct fake_fault *f)
{
	const char *call = text(object, "call", "");
	size_t n = strlen(call);

	*f = (struct fake_fault) { .kind = fault_kind(text(object, "what", "error")) };
	snprintf(f->call, sizeof(f->call), "%s", call);
	if (n > 0 && n < sizeof(f->call) && call[n - 1] == '*') {
		f->is_prefix = true;
		f->call[n - 1] = '\0';
	}
	f->gpu = (int) number(object, "gpu", -1);
	f->from_ns = ns_of(number(object, "at", 0));
	f->for_ns = json_object_get(object, "for") ? ns_of(number(object, "for", 0)) : FOR_EVER_NS;
	f->every = (unsigned) number(object, "every", 1);
	f->error = (int) number(object, "error", NVML_ERROR_UNKNOWN);
	f->field_id = (unsigned) number(object, "id", 0);
	f->slow_ns = ms_of(object, "ms", 0);
	f->early = flag(object, "early", false);
	f->mono_ns = ns_of(number(object, "mono_s", 0));
	f->plus_mj = (int64_t) number(object, "mj", 0);
	f->plus_mw = (int64_t) number(object, "mw", 0);
	f->loaded_ns = fake_mono_ns();
}

static void read_faults(const json_t *list, struct fake_model *m)
{
	const json_t *v;
	size_t i;

	if (json_array_size(list) > FAKE_MAX_FAULTS)
		give_up("faults");
	m->n_faults = 0;
	json_array_foreach(list, i, v) read_fault(v, &m->faults[m->n_faults++]);
}

static json_t *read_variable(void)
{
	const char *said = getenv(VARIABLE);
	json_error_t error;
	json_t *root;

	if (!said)
		give_up("it is not set");
	root = *said == '{' ? json_loads(said, JSON_REJECT_DUPLICATES, &error)
			    : json_load_file(said, JSON_REJECT_DUPLICATES, &error);
	if (!root)
		give_up(error.text);
	return root;
}

/* Tells whether the file is another than at the last call. */
static bool was_replaced(void)
{
	static struct stat last;
	const char *said = getenv(VARIABLE);
	struct stat st;

	if (!said || *said == '{' || stat(said, &st) < 0)
		return false;
	if (st.st_ino == last.st_ino && st.st_dev == last.st_dev &&
		st.st_mtim.tv_sec == last.st_mtim.tv_sec &&
		st.st_mtim.tv_nsec == last.st_mtim.tv_nsec)
		return false;
	last = st;
	return true;
}

static int64_t wall_offset_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t) ts.tv_sec * 1000000000 + ts.tv_nsec - (int64_t) fake_mono_ns();
}

void fake_model_load(struct fake_model *m)
{
	json_t *root, *v;
	size_t i;

	was_replaced();
	root = read_variable();
	*m = (struct fake_model) { .wall_offset_ns = wall_offset_ns() };
	json_array_foreach(json_object_get(root, "gpus"), i, v)
	{
		if (i == FAKE_MAX_GPUS)
			give_up("gpus");
		read_gpu(v, (unsigned) i, &m->gpus[m->n_gpus++]);
	}
	snprintf(m->driver, sizeof(m->driver), "%s", text(root, "driver", "550.54.15"));
	snprintf(m->counts, sizeof(m->counts), "%s", text(root, "counts", ""));
	m->error_string = flag(root, "error_string", true);
	read_faults(json_object_get(root, "faults"), m);
	json_decref(root);
}

void fake_model_reload(struct fake_model *m)
{
	json_t *root;

	if (!was_replaced())
		return;
	root = read_variable();
	read_faults(json_object_get(root, "faults"), m);
	json_decref(root);
}

/* ---- what a GPU does -------------------------------------------------------------------- */

uint64_t fake_mono_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t) ts.tv_sec * 1000000000 + (uint64_t) ts.tv_nsec;
}

/* From time 0. 1 mW for 1 ns is 1 pJ. */
static u128 energy_pj(const struct fake_gpu *g, uint64_t t_ns)
{
	u128 whole_pj = 0, pj = 0;
	uint64_t rest_ns = t_ns % g->period_ns;

	for (size_t i = 0; i < g->n_segments; i++) {
		uint64_t ns = rest_ns < g->segments[i].ns ? rest_ns : g->segments[i].ns;

		pj += (u128) ns * g->segments[i].mw;
		rest_ns -= ns;
		whole_pj += (u128) g->segments[i].ns * g->segments[i].mw;
	}
	return pj + whole_pj * (t_ns / g->period_ns);
}

uint64_t fake_energy_mj(const struct fake_gpu *g, uint64_t from_ns, uint64_t to_ns)
{
	if (to_ns < from_ns)
		return 0;
	return (uint64_t) ((energy_pj(g, to_ns) - energy_pj(g, from_ns)) / 1000000000);
}

uint64_t fake_power_mw(const struct fake_gpu *g, uint64_t t_ns, uint64_t window_ns)
{
	uint64_t rest_ns = t_ns % g->period_ns;
	size_t i = 0;

	if (window_ns > t_ns)
		window_ns = t_ns;
	if (window_ns > 0)
		return (uint64_t) ((energy_pj(g, t_ns) - energy_pj(g, t_ns - window_ns)) /
			window_ns);
	while (i + 1 < g->n_segments && rest_ns >= g->segments[i].ns)
		rest_ns -= g->segments[i++].ns;
	return g->segments[i].mw;
}

/* A number that looks random, but is the same for the same update of the same GPU. */
static uint64_t scatter(uint64_t n)
{
	n += UINT64_C(0x9e3779b97f4a7c15);
	n = (n ^ (n >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	n = (n ^ (n >> 27)) * UINT64_C(0x94d049bb133111eb);
	return n ^ (n >> 31);
}

static uint64_t nth_update_ns(const struct fake_gpu *g, uint64_t n)
{
	uint64_t late_ns = g->jitter_ns ? scatter(n * 131 + g->index) % g->jitter_ns : 0;

	return g->phase_ns + n * g->update_ns + late_ns;
}

uint64_t fake_update_ns(const struct fake_gpu *g, uint64_t t_ns)
{
	uint64_t n;

	if (g->update_ns == 0 || t_ns < g->phase_ns + g->update_ns + g->jitter_ns)
		return t_ns;
	n = (t_ns - g->phase_ns) / g->update_ns;
	while (nth_update_ns(g, n) > t_ns)
		n--;
	return nth_update_ns(g, n);
}

/* ---- counting calls --------------------------------------------------------------------- */

struct count {
	char name[56];
	uint64_t n;
};

static struct count *map_counts(const char *path, size_t n)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	void *p = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, (off_t) (n * sizeof(struct count))) == 0)
		p = mmap(NULL, n * sizeof(struct count), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	if (p == MAP_FAILED)
		give_up("counts");
	return p;
}

void fake_count(const struct fake_model *m, size_t index, const char *name, size_t n)
{
	static struct count *counts;

	if (!m->counts[0])
		return;
	if (!counts)
		counts = map_counts(m->counts, n);
	if (!counts[index].name[0])
		snprintf(counts[index].name, sizeof(counts[index].name), "%s", name);
	__atomic_fetch_add(&counts[index].n, 1, __ATOMIC_RELAXED);
}
