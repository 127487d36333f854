// SPDX-License-Identifier: MIT
/*
 * Power and energy in the kernel's hwmon class: GPUs, ACPI power meters, sensors on boards.
 * Kernel: Documentation/hwmon/sysfs-interface.rst and the drivers' own pages.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sensors/hwmon/hwmon.h"
#include "util/cleanup.h"
#include "machine/self.h"
#include "util/u128.h"

/* No driver states how old a counter's value may be; those that are known update within this. */
#define COUNTER_ERR_NS (10 * NS_PER_MS)

struct hwmon {
	struct hwmon_channel channels[HWMON_MAX_CHANNELS]; /* channel i is domain i */
};

/* ---- domains ----------------------------------------------------------------------------- */

/* By class, chip and device; the whole before its parts. */
static int compare(const void *a, const void *b)
{
	const struct hwmon_channel *x = a, *y = b;
	int r = (int) x->class - (int) y->class;

	r = r ? r : strcmp(x->chip, y->chip);
	r = r ? r : strverscmp(x->device, y->device);
	r = r ? r : (x->rank > y->rank) - (x->rank < y->rank);
	r = r ? r : strverscmp(x->label, y->label);
	r = r ? r : strverscmp(x->dir, y->dir);
	return r ? r : strverscmp(x->file, y->file);
}

static bool is_named(const struct sensor *s, const char *name, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(s->domains[i].name, name) == 0)
			return true;
	return false;
}

static void name_domain(struct sensor *s, const struct hwmon_channel *c, struct domain *d)
{
	bool is_gpu = c->class == HWMON_AMDGPU || c->class == HWMON_INTEL_GPU;
	const char *label = is_gpu && c->number == 1 ? "" : c->label;
	char name[48];

	if (c->known && !is_gpu && *label)
		snprintf(name, sizeof(name), "%s", label);
	else
		snprintf(name, sizeof(name), "%s%s%s%s%s", c->chip, *c->device ? "-" : "",
			c->device, *label ? "-" : "", label);
	snprintf(d->name, sizeof(d->name), "%s", name);
	for (unsigned i = 2; is_named(s, d->name, (size_t) (d - s->domains)); i++)
		snprintf(d->name, sizeof(d->name), "%s-%u", name, i);
}

static void describe(struct sensor *s, const struct hwmon_channel *all, size_t n, size_t i)
{
	const struct hwmon_channel *c = &all[i];
	struct domain *d = &s->domains[i];

	name_domain(s, c, d);
	snprintf(d->scope, sizeof(d->scope), "%s", c->scope);
	if (*c->device)
		snprintf(d->id, sizeof(d->id), "%s %s", c->chip, c->device);
	d->id_public_at = 0; /* a chip's type and slot */
	d->kind = c->kind;
	d->parent = hwmon_parent(all, n, i);
	d->counted = c->counted;
	d->max_power_mw = c->max_power_mw;
	if (!c->is_energy) {
		d->power_only = true;
		d->quality = FLAG_INTEGRATED;
	}
}

static int open_channel(const struct host *h, const struct hwmon_channel *c)
{
	char path[160];

	snprintf(path, sizeof(path), HWMON_DIR "/%s/%s", c->dir, c->file);
	return host_open_file(h, path);
}

/* The chip may have come back under another number. */
static int find_again(void *ctx)
{
	struct hwmon_channel *c = ctx;
	struct hwmon_scan scan;
	int r = hwmon_scan(c->host, &scan), fd = -ENODEV;

	if (r < 0)
		return r;
	for (size_t i = 0; i < scan.n; i++) {
		const struct hwmon_channel *k = &scan.channels[i];

		if (strcmp(k->chip, c->chip) != 0 || strcmp(k->device, c->device) != 0 ||
			strcmp(k->label, c->label) != 0 || strcmp(k->file, c->file) != 0)
			continue;
		memcpy(c->dir, k->dir, sizeof(c->dir));
		fd = open_channel(c->host, c);
		break;
	}
	hwmon_scan_finish(&scan);
	return fd;
}

static int refuse_absent(struct sensor *s, int error, const struct hwmon_scan *scan)
{
	if (host_has(s->host, "/sys/bus/acpi/devices/ACPI000D:00"))
		return sensor_refuse(s, error, "sudo modprobe acpi_power_meter",
			"there is an ACPI power meter, but its driver is not loaded");
	return sensor_refuse(s, error, NULL, "no chip in %s tells power or energy%s", HWMON_DIR,
		scan->ignored ? " but those of the jetson sensor" : "");
}

static int refuse_unreadable(struct sensor *s, int error, const struct hwmon_channel *c)
{
	char exe[192], fix[256];

	self_path(exe, sizeof(exe));
	snprintf(fix, sizeof(fix), "sudo setcap cap_dac_read_search+ep %s", exe);
	return sensor_refuse(s, error, error == -EACCES || error == -EPERM ? fix : NULL,
		"%s/%s/%s (%s): %s", HWMON_DIR, c->dir, c->file, c->chip, strerror(-error));
}

static int hwmon_probe(struct sensor *s)
{
	struct hwmon_scan scan;
	int r = hwmon_scan(s->host, &scan);

	r = r < 0 || scan.n == 0 ? refuse_absent(s, r < 0 ? r : -ENOENT, &scan) : 0;
	hwmon_scan_finish(&scan);
	return r;
}

static int open_channels(struct sensor *s, struct hwmon *state, const struct hwmon_scan *scan)
{
	int r = -ENODEV;

	s->period_ns = NS_PER_S;
	for (size_t i = 0; i < scan->n && s->n_domains < HWMON_MAX_CHANNELS; i++) {
		struct hwmon_channel *c = &scan->channels[i];

		r = open_channel(s->host, c);
		if (r < 0) {
			refuse_unreadable(s, r, c);
			continue;
		}
		c->numfile.fd = r;
		state->channels[s->n_domains] = *c;
		sensor_add_domain(s);
		if (c->period_ns < s->period_ns)
			s->period_ns = c->period_ns;
	}
	if (s->n_domains == HWMON_MAX_CHANNELS && scan->n > s->n_domains && !s->why.reason[0])
		sensor_refuse(s, 0, NULL, "%zu channels are left out: more than %d",
			scan->n - s->n_domains, HWMON_MAX_CHANNELS);
	return s->n_domains == 0 ? r : 0;
}

static int hwmon_open(struct sensor *s)
{
	struct hwmon *state = s->state = calloc(1, sizeof(*state));
	struct hwmon_scan scan;
	int r;

	if (!state)
		return sensor_refuse(s, -ENOMEM, NULL, "out of memory");
	r = hwmon_scan(s->host, &scan);
	if (r < 0 || scan.n == 0) {
		hwmon_scan_finish(&scan);
		return refuse_absent(s, r < 0 ? r : -ENOENT, &scan);
	}
	/* What may count comes before what is only shown, of which there may be more than there is room for. */
	qsort(scan.channels, scan.n, sizeof(scan.channels[0]), compare);
	r = open_channels(s, state, &scan);
	hwmon_scan_finish(&scan);
	hwmon_settle(state->channels, s->n_domains);
	for (size_t i = 0; i < s->n_domains; i++)
		describe(s, state->channels, s->n_domains, i);
	return r;
}

/* ---- reading ----------------------------------------------------------------------------- */

/* To read a GPU that sleeps would wake it. */
static bool is_asleep(const struct hwmon_channel *c)
{
	char hwmon[32], text[16];

	if (c->class != HWMON_AMDGPU && c->class != HWMON_INTEL_GPU)
		return false;
	snprintf(hwmon, sizeof(hwmon), "%.*s", (int) strcspn(c->dir, "/"), c->dir);
	return hwmon_read_text(c->host, hwmon, "device/power/runtime_status", text, sizeof(text)) >
		0 &&
		strncmp(text, "suspend", 7) == 0;
}

/* From the counter's last two values; 0 where they make no sense. */
static uint64_t power_between(const struct hwmon_channel *c, const struct reading *r)
{
	const struct reading *last = &c->last;
	u128 mw;

	if (last->error || !last->t_ns || r->raw < last->raw || r->t_ns <= last->t_ns)
		return 0;
	/* 1 uJ in 1 ns is 10^6 mW */
	mw = (u128) (r->raw - last->raw) * 1000000 / (r->t_ns - last->t_ns);
	return mw > c->max_power_mw ? 0 : (uint64_t) mw;
}

static void take(const struct hwmon_channel *c, int64_t value, struct reading *r)
{
	if (value < 0 || (!c->is_energy && (uint64_t) value / 1000 > c->max_power_mw)) {
		r->error = -ERANGE;
	} else if (c->is_energy) {
		r->raw = (uint64_t) value;
		r->power_mw = power_between(c, r);
	} else {
		r->power_mw = ((uint64_t) value + 500) / 1000;
	}
}

static void read_channel(struct hwmon_channel *c)
{
	uint64_t before_ns = host_now_ns(c->host), after_ns;
	struct reading r = { .flags = c->is_energy ? FLAG_MEASURED : FLAG_INTEGRATED };
	int64_t value;

	r.error = is_asleep(c) ? -ENODATA
			       : numfile_read(&c->numfile, before_ns, find_again, c, &value);
	after_ns = host_now_ns(c->host);
	r.t_ns = before_ns + (after_ns - before_ns) / 2;
	r.t_err_ns = (after_ns - before_ns) / 2 +
		(c->is_energy && c->period_ns < NS_PER_S ? COUNTER_ERR_NS : c->period_ns);
	if (r.error == 0)
		take(c, value, &r);
	c->last = r;
	c->due_ns = before_ns + c->period_ns;
}

static int hwmon_read(struct sensor *s, struct reading *ret)
{
	struct hwmon *state = s->state;
	uint64_t now_ns = host_now_ns(s->host);

	for (size_t i = 0; i < s->n_domains; i++) {
		struct hwmon_channel *c = &state->channels[i];

		ret[i] = (struct reading) { 0 };
		if (sensor_skips(s, i, &ret[i]))
			continue;
		/* Half of the shortest period too early is in time. */
		if (now_ns + s->period_ns / 2 >= c->due_ns)
			read_channel(c);
		ret[i] = c->last;
	}
	return 0;
}

static void hwmon_close(struct sensor *s)
{
	struct hwmon *state = s->state;

	if (!state)
		return;
	for (size_t i = 0; i < s->n_domains; i++)
		numfile_close(&state->channels[i].numfile);
	free(state);
	s->state = NULL;
}

const struct sensor_ops sensor_hwmon = {
	.name = "hwmon",
	.role = SENSOR_HARDWARE,
	.gives = "what the chip measures: a GPU, packages or the whole machine",
	.kinds = KIND_ALL,
	.sure_kinds = 0,
	.polled = true,
	.probe = hwmon_probe,
	.open = hwmon_open,
	.read = hwmon_read,
	.close = hwmon_close,
};
