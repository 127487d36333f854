// SPDX-License-Identifier: MIT
/*
 * The power rails of NVIDIA Jetson modules, measured by INA3221 chips. NVIDIA's older driver (up to
 * JetPack 4) tells power by channel below an iio device, the kernel's own tells voltage and current
 * below a hwmon device: Documentation/hwmon/ina3221.rst. Names are those of NVIDIA's guides.
 *
 * Each voltage and each current waits for a conversion of its own, some milliseconds: the rails are
 * read ten times a second by a thread.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meter/sensor.h"
#include "util/cleanup.h"
#include "util/dirscan.h"
#include "util/numfile.h"

#define DRIVERS_DIR "/sys/bus/i2c/drivers"
#define PERIOD_NS (100 * NS_PER_MS)
#define MAX_RAILS 24
#define MAX_MILLI INT64_C(100000) /* volts and amperes */
#define MAX_MW UINT64_C(1000000)

/* How a driver shows a chip. The channels are counted from `first`. */
struct driver {
	const char *name;
	const char *sub_begin; /* its directory below the chip's */
	const char *sub_between;
	unsigned first;
	const char *label;
	const char *enable;
	const char *values[2]; /* millivolts and milliamperes, or milliwatts alone */
};

enum { OLD_DRIVER, NEW_DRIVER, THOR_INPUT };

static const struct driver drivers[] = {
	[OLD_DRIVER] = { "ina3221x", "", "iio", 0, "rail_name_%u", NULL, { "in_power%u_input" } },
	[NEW_DRIVER] = { "ina3221", "hwmon/", "hwmon", 1, "in%u_label", "in%u_enable",
		{ "in%u_input", "curr%u_input" } },
	/* Thor's board has one more chip, at its input. */
	[THOR_INPUT] = { "ina238", "hwmon/", "hwmon", 1, "in%u_label", NULL, { "power%u_input" } },
};

#define N_INPUTS 3

/* First those at the input, which contain all others. */
static const struct known_rail {
	const char *name;
	enum kind kind;
	const char *scope;
} known_rails[] = {
	{ "VIN", KIND_PLATFORM, "board input" },
	{ "VDD_IN", KIND_PLATFORM, "module input" },
	{ "POM_5V_IN", KIND_PLATFORM, "module input" },
	{ "VDD_SYS_CPU", KIND_CPU, "CPU" },
	{ "POM_5V_CPU", KIND_CPU, "CPU" },
	{ "VDD_CPU", KIND_CPU, "CPU" },
	{ "CPU", KIND_CPU, "CPU" },
	{ "VDD_CPU_CV", KIND_CPU, "CPU and CV" },
	{ "VDD_CPU_GPU", KIND_CPU, "CPU and GPU, one rail" },
	{ "VDD_CPU_GPU_CV", KIND_CPU, "CPU, GPU and CV, one rail" },
	{ "VDD_CPU_SOC_MSS", KIND_CPU, "CPU, SoC and memory controller" },
	{ "VDD_SYS_GPU", KIND_GPU, "GPU" },
	{ "POM_5V_GPU", KIND_GPU, "GPU" },
	{ "VDD_GPU", KIND_GPU, "GPU" },
	{ "GPU", KIND_GPU, "GPU" },
	{ "VDD_GPU_SOC", KIND_GPU, "GPU and SoC" },
	{ "VIN_SYS_5V0", KIND_PLATFORM, "5 V: memory, I/O" },
	{ "VDD_SYS_DDR", KIND_DRAM, "memory" },
	{ "VDDRQ", KIND_DRAM, "memory" },
	{ "VDDQ_VDD2_1V8AO", KIND_DRAM, "memory and always-on parts" },
	{ "VDD_SYS_SOC", KIND_PLATFORM, "SoC" },
	{ "VDD_SOC", KIND_PLATFORM, "SoC" },
	{ "SOC", KIND_PLATFORM, "SoC" },
	{ "CV", KIND_PLATFORM, "CV" },
	{ "SYS5V", KIND_PLATFORM, "5 V: I/O" },
	{ "VDD_4V0_WIFI", KIND_PLATFORM, "Wi-Fi" },
};

/* Boards without a rail at the input: these rails are fed side by side and make up the whole. */
static const char *const sums[][7] = {
	{ "GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V" }, /* AGX Xavier */
	{ "VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0" },  /* AGX Orin */
	{ "VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0" }, /* AGX Thor, where VIN is not told */
};

struct rail {
	const struct host *host;
	const struct driver *driver;
	char chip[24]; /* "1-0040" */
	char sub[32];  /* "hwmon/hwmon3" */
	char name[32];
	unsigned channel;
	int known; /* into known_rails, or its size */
	struct numfile files[2];
	unsigned opening; /* which of the files */
};

struct jetson {
	struct rail rails[MAX_RAILS];
	size_t n_rails;
	bool has_sum; /* domain 0 is the sum of the rails of which is_part is true */
	bool is_part[MAX_RAILS];
};

/* ---- finding rails ----------------------------------------------------------------------- */

static int known_rail(const char *name)
{
	int i = 0;

	while (i < (int) ARRAY_SIZE(known_rails) && strcmp(known_rails[i].name, name) != 0)
		i++;
	return i;
}

/* Fills in the file's name, whose format is the driver's and takes one number. */
static void path_of(const struct rail *r, const char *file, char *ret, size_t n)
{
	const char *number = strchr(file, '%');

	snprintf(ret, n, DRIVERS_DIR "/%s/%s/%s/%.*s%u%s", r->driver->name, r->chip, r->sub,
		(int) (number - file), file, r->channel, number + 2);
}

static int read_text(const struct rail *r, const char *file, char *ret, size_t n)
{
	char path[192];

	path_of(r, file, path, sizeof(path));
	return host_read_text(r->host, path, ret, n);
}

static int is_sub(const char *name, void *ctx)
{
	struct rail *r = ctx;
	const struct driver *d = r->driver;

	if (strncmp(name, d->sub_between, strlen(d->sub_between)) != 0 || strlen(name) > 20)
		return 0;
	snprintf(r->sub, sizeof(r->sub), "%s%s", d->sub_begin, name);
	return 1;
}

/* The directory below the chip's, whose number is another after each loading of the driver. */
static int find_sub(struct rail *r)
{
	char path[128];
	CLEANUP_FD int fd = -1;
	int found;

	snprintf(path, sizeof(path), DRIVERS_DIR "/%s/%s/%s", r->driver->name, r->chip,
		r->driver->sub_begin);
	fd = host_open_file(r->host, path);
	if (fd < 0)
		return fd;
	found = dirscan(fd, is_sub, r);
	return found > 0 ? 0 : found < 0 ? found : -ENOENT;
}

static int open_value(void *ctx)
{
	struct rail *r = ctx;
	char path[192];
	int error = find_sub(r);

	if (error < 0)
		return error;
	path_of(r, r->driver->values[r->opening], path, sizeof(path));
	return host_open_file(r->host, path);
}

struct scan {
	const struct host *host;
	const struct driver *driver;
	struct jetson *state;
	bool any_chip;
	int error; /* of a rail whose values could not be opened */
};

static void close_rail(struct rail *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(r->files); i++)
		numfile_close(&r->files[i]);
}

static bool open_rail(struct rail *r, int *ret_error)
{
	for (r->opening = 0; r->opening < 2 && r->driver->values[r->opening]; r->opening++) {
		int fd = open_value(r);

		if (fd < 0) {
			*ret_error = fd;
			close_rail(r);
			return false;
		}
		r->files[r->opening].fd = fd;
	}
	return true;
}

static void add_rail(struct scan *scan, const struct rail *chip, unsigned channel)
{
	struct jetson *state = scan->state;
	struct rail *r = &state->rails[state->n_rails];
	char text[16];

	if (state->n_rails == MAX_RAILS)
		return;
	*r = *chip;
	r->channel = channel;
	if (read_text(r, r->driver->label, r->name, sizeof(r->name)) <= 0 ||
		strcmp(r->name, "NC") == 0)
		return;
	if (r->driver->enable && read_text(r, r->driver->enable, text, sizeof(text)) > 0 &&
		strcmp(text, "0") == 0)
		return;
	r->known = known_rail(r->name);
	if (r->driver == &drivers[THOR_INPUT] && strcmp(r->name, "VIN") != 0)
		return;
	if (open_rail(r, &scan->error))
		state->n_rails++;
}

/* Chips are named by bus and address: "7-0040". */
static int look_at_chip(const char *name, void *ctx)
{
	struct scan *scan = ctx;
	struct rail chip = {
		.host = scan->host, .driver = scan->driver, .files = { NUMFILE_INIT, NUMFILE_INIT }
	};
	size_t digits = strspn(name, "0123456789");

	if (digits == 0 || name[digits] != '-' || strlen(name) >= sizeof(chip.chip))
		return 0;
	snprintf(chip.chip, sizeof(chip.chip), "%s", name);
	if (find_sub(&chip) < 0)
		return 0;
	scan->any_chip = true;
	for (unsigned i = 0; i < 3; i++)
		add_rail(scan, &chip, chip.driver->first + i);
	return 0;
}

static void scan_chips(struct scan *scan)
{
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
		char path[64];
		CLEANUP_FD int fd = -1;

		snprintf(path, sizeof(path), DRIVERS_DIR "/%s", drivers[i].name);
		fd = host_open_file(scan->host, path);
		scan->driver = &drivers[i];
		if (fd >= 0)
			dirscan(fd, look_at_chip, scan);
	}
}

/* ---- domains ----------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	const struct rail *x = a, *y = b;
	int r = x->known != y->known ? x->known - y->known : strcmp(x->name, y->name);

	r = r ? r : strcmp(x->chip, y->chip);
	return r ? r : (int) x->channel - (int) y->channel;
}

static bool is_known(const struct rail *r)
{
	return r->known < (int) ARRAY_SIZE(known_rails);
}

static int find_rail(const struct jetson *state, const char *name)
{
	for (size_t i = 0; i < state->n_rails; i++)
		if (strcmp(state->rails[i].name, name) == 0)
			return (int) i;
	return -1;
}

static bool find_sum(struct jetson *state)
{
	for (size_t i = 0; i < ARRAY_SIZE(sums); i++) {
		bool all = true;

		memset(state->is_part, 0, sizeof(state->is_part));
		for (const char *const *name = sums[i]; *name; name++) {
			int found = find_rail(state, *name);

			all &= found >= 0;
			if (found >= 0)
				state->is_part[found] = true;
		}
		if (all)
			return true;
	}
	return false;
}

static void init_domain(struct domain *d, const char *name, const char *scope, enum kind kind)
{
	snprintf(d->name, sizeof(d->name), "%s", name);
	snprintf(d->scope, sizeof(d->scope), "%s", scope);
	d->kind = kind;
	d->power_only = true;
	d->quality = FLAG_INTEGRATED;
	d->max_power_mw = MAX_MW;
}

/* What contains the rail. The carrier board's rails, which are not known here, nothing does. */
static int parent_of(const struct jetson *state, size_t i, int whole)
{
	const struct rail *r = &state->rails[i];
	int first = state->has_sum ? 1 : 0;
	int feeder = find_rail(state, "VIN_SYS_5V0");

	if (strcmp(r->name, "VDDQ_VDD2_1V8AO") == 0 && feeder >= 0)
		return feeder + first;
	return !is_known(r) || (int) i + first == whole ? -1 : whole;
}

static void add_domains(struct sensor *s)
{
	struct jetson *state = s->state;
	int whole = state->rails[0].known < N_INPUTS ? 0 : -1; /* they are in order */

	state->has_sum = whole < 0 && find_sum(state);
	if (state->has_sum) {
		init_domain(
			sensor_add_domain(s), "module", "sum of the module's rails", KIND_PLATFORM);
		whole = 0;
	}
	for (size_t i = 0; i < state->n_rails; i++) {
		const struct rail *r = &state->rails[i];
		struct domain *d = sensor_add_domain(s);
		const struct known_rail *k = is_known(r) ? &known_rails[r->known] : NULL;
		char name[64];

		snprintf(name, sizeof(name), "%s", r->name);
		if (find_rail(state, r->name) != (int) i)
			snprintf(name, sizeof(name), "%s-%s-%u", r->name, r->chip, r->channel);
		init_domain(d, name, k ? k->scope : "not known what it covers",
			k ? k->kind : KIND_PLATFORM);
		snprintf(d->id, sizeof(d->id), "%s %s", r->driver->name, r->chip);
		d->id_public_at = 0; /* the same in each board of the type */
		d->parent = parent_of(state, i, whole);
		/* Of the platform's kind only the whole counts, and no name twice. */
		d->counted = k && find_rail(state, r->name) == (int) i &&
			(k->kind != KIND_PLATFORM || (int) (s->n_domains - 1) == whole);
	}
}

/* ---- the backend ------------------------------------------------------------------------- */

static int refuse(struct sensor *s, const struct scan *scan)
{
	char model[128];

	if (scan->error)
		return sensor_refuse(s, scan->error, NULL, "the rails cannot be read: %s",
			strerror(-scan->error));
	if (scan->any_chip)
		return sensor_refuse(s, -ENOENT, NULL, "none of the INA3221's rails has a name");
	if (host_read_text(s->host, "/proc/device-tree/model", model, sizeof(model)) > 0 &&
		strstr(model, "Jetson"))
		return sensor_refuse(s, -ENOENT, "sudo modprobe ina3221",
			"this Jetson shows no INA3221: no driver is loaded, or the board has none");
	return sensor_refuse(s, -ENODEV, NULL, "this is no Jetson");
}

static void close_rails(struct jetson *state)
{
	for (size_t i = 0; i < state->n_rails; i++)
		close_rail(&state->rails[i]);
}

static int jetson_open(struct sensor *s)
{
	struct jetson *state = s->state = calloc(1, sizeof(*state));
	struct scan scan = { .host = s->host, .state = state };

	if (!state)
		return sensor_refuse(s, -ENOMEM, NULL, "out of memory");
	scan_chips(&scan);
	if (state->n_rails == 0)
		return refuse(s, &scan);
	qsort(state->rails, state->n_rails, sizeof(state->rails[0]), compare);
	add_domains(s);
	s->period_ns = PERIOD_NS;
	return 0;
}

static int jetson_probe(struct sensor *s)
{
	struct jetson state = { .n_rails = 0 };
	struct scan scan = { .host = s->host, .state = &state };

	scan_chips(&scan);
	close_rails(&state);
	return state.n_rails ? 0 : refuse(s, &scan);
}

/* An idle rail may show a little less than nothing. */
static int read_power_mw(struct rail *r, uint64_t now_ns, uint64_t *ret)
{
	int64_t values[2] = { 0, 0 }, mw;
	int error = 0;

	/* Both, also where one fails: each looks for its own file when that is gone. */
	for (r->opening = 0; r->opening < 2 && r->driver->values[r->opening]; r->opening++) {
		int e = numfile_read(
			&r->files[r->opening], now_ns, open_value, r, &values[r->opening]);

		error = error ? error : e;
	}
	if (error < 0)
		return error;
	if (r->driver == &drivers[NEW_DRIVER]) {
		if (values[0] < 0 || values[0] > MAX_MILLI || values[1] > MAX_MILLI ||
			values[1] < -MAX_MILLI)
			return -ERANGE;
		mw = values[0] * values[1] / 1000;
	} else {
		mw = r->driver == &drivers[THOR_INPUT] ? values[0] / 1000 : values[0];
	}
	if (mw > (int64_t) MAX_MW)
		return -ERANGE;
	*ret = mw > 0 ? (uint64_t) mw : 0;
	return 0;
}

static void read_rail(struct rail *r, struct reading *ret)
{
	uint64_t before_ns = host_now_ns(r->host), after_ns;

	*ret = (struct reading) { .flags = FLAG_INTEGRATED };
	ret->error = read_power_mw(r, before_ns, &ret->power_mw);
	after_ns = host_now_ns(r->host);
	ret->t_ns = before_ns + (after_ns - before_ns) / 2;
	ret->t_err_ns = (after_ns - before_ns) / 2 + PERIOD_NS;
}

/* As of the last of its parts; not known where one of them is not. */
static void add_up(const struct jetson *state, const struct reading *rails, struct reading *ret)
{
	*ret = (struct reading) { .flags = FLAG_INTEGRATED };
	for (size_t i = 0; i < state->n_rails; i++) {
		if (!state->is_part[i])
			continue;
		if (rails[i].error)
			ret->error = rails[i].error;
		ret->power_mw += rails[i].power_mw;
		ret->t_ns = rails[i].t_ns;
		ret->t_err_ns = rails[i].t_err_ns;
	}
}

/* The sum needs rails of any kind. */
static int jetson_read(struct sensor *s, struct reading *ret)
{
	struct jetson *state = s->state;
	struct reading *rails = ret + state->has_sum;
	bool sum = state->has_sum && (s->kinds & KIND_BIT(KIND_PLATFORM));

	memset(ret, 0, s->n_domains * sizeof(*ret));
	for (size_t i = 0; i < state->n_rails; i++)
		if ((sum && state->is_part[i]) || !sensor_skips(s, i + state->has_sum, &rails[i]))
			read_rail(&state->rails[i], &rails[i]);
	if (sum)
		add_up(state, rails, &ret[0]);
	for (size_t i = 0; i < s->n_domains; i++)
		sensor_skips(s, i, &ret[i]);
	return 0;
}

static void jetson_close(struct sensor *s)
{
	struct jetson *state = s->state;

	if (!state)
		return;
	close_rails(state);
	free(state);
	s->state = NULL;
}

const struct sensor_ops sensor_jetson = {
	.name = "jetson",
	.role = SENSOR_HARDWARE,
	.gives = "the module's rails: CPU, GPU and the whole",
	.kinds = KIND_ALL,
	.sure_kinds = KIND_BIT(KIND_CPU) | KIND_BIT(KIND_PLATFORM),
	.polled = true,
	.probe = jetson_probe,
	.open = jetson_open,
	.read = jetson_read,
	.close = jetson_close,
	.known_tool = "jtop",
};
