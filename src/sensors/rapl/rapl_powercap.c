// SPDX-License-Identifier: MIT
/*
 * RAPL through the powercap class: /sys/class/powercap/intel-rapl*. AMD and Hygon processors
 * appear under the same name. Kernel: Documentation/power/powercap/powercap.rst and
 * drivers/powercap/intel_rapl_common.c.
 *
 * A zone shows microjoules that the driver made from a 32-bit register: uj = raw * unit_nj / 1000,
 * rounded down, where unit_nj is the true unit 10^9 / 2^ESU cut to whole nanojoules. Since a count
 * is more than a microjoule, the count can be had back exactly, and with it the true unit and the
 * true modulus of 2^32; the shown range, (2^32 - 1) * unit_nj / 1000, tells unit_nj.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sensors/rapl/rapl.h"
#include "sensors/rapl/rapl_powercap_zones.h"
#include "util/cleanup.h"
#include "util/numfile.h"
#include "machine/self.h"
#include "util/u128.h"

/* One zone's energy. */
struct counter {
	const struct host *host;
	struct zone zone;
	struct numfile file;
	bool exact; /* counts are recovered */
	uint64_t unit_nj;
};

struct powercap {
	struct counter counters[ZONES_MAX]; /* counter i is domain i */
};

/* ---- counts ----------------------------------------------------------------------------- */

static uint64_t count_of(uint64_t uj, uint64_t unit_nj)
{
	return (uint64_t) (((u128) uj * 1000 + unit_nj - 1) / unit_nj);
}

/* Whether counts can be had back: the range must be that of a 32-bit register whose unit is one
 * that the driver uses, and the value must be one that the driver can show. ret_esu: 10^9 nJ
 * divided by 2^esu is the true unit. */
static bool recover_unit(uint64_t range_uj, uint64_t uj, uint64_t *ret_nj, unsigned *ret_esu)
{
	const uint64_t largest = UINT32_MAX;
	uint64_t nj = (uint64_t) (((u128) range_uj * 1000 + largest / 2) / largest);
	unsigned esu = 0;

	if (nj < 1000 || muldiv_u64(largest, nj, 1000) != range_uj)
		return false;
	/* 15.3 uJ is what the kernel takes for the DRAM of several server processors; perf takes
	 * 2^-16 J for the same register (intel_rapl_common.c against arch/x86/events/rapl.c). */
	if (nj == 15300)
		esu = 16;
	else
		while (esu < 32 && UINT64_C(1000000000) >> esu != nj)
			esu++;
	if (esu == 32 || muldiv_u64(count_of(uj, nj), nj, 1000) != uj)
		return false;
	*ret_nj = nj;
	*ret_esu = esu;
	return true;
}

/* ---- the backend ------------------------------------------------------------------------ */

static int refuse_absent(struct sensor *s, int error)
{
	return rapl_refuse_undriven(
		s, error, "intel_rapl_msr", POWERCAP_DIR " has no intel-rapl zones");
}

static int refuse_masked(struct sensor *s)
{
	return sensor_refuse(s, -ENOENT,
		"docker run -v /sys:/host/sys:ro -v /proc:/host/proc:ro ... "
		"powermeasure ... --root /host",
		"the zones' files are hidden, as container runtimes do since 2023");
}

static int refuse_unreadable(struct sensor *s, int error, const char *dir)
{
	char exe[192], fix[256];

	self_path(exe, sizeof(exe));
	snprintf(fix, sizeof(fix), "sudo setcap cap_dac_read_search+ep %s", exe);
	return sensor_refuse(s, error, error == -EACCES || error == -EPERM ? fix : NULL,
		"%s/%s/energy_uj: %s", POWERCAP_DIR, dir, strerror(-error));
}

static int powercap_probe(struct sensor *s)
{
	struct zone_scan scan;
	int r = zones_scan_in_order(s->host, &scan);
	int error = 0;
	const char *dir = "";

	if (r < 0)
		return refuse_absent(s, r);
	for (size_t i = 0; i < scan.n; i++) {
		CLEANUP_FD int fd = -1;
		int64_t uj;

		if (zone_role(s->host, &scan.zones[i]) == ROLE_NONE)
			continue;
		fd = zone_open_energy(s->host, scan.zones[i].dir);
		r = fd < 0 ? fd : numfile_read_fd(fd, &uj);
		if (r == 0)
			return 0;
		error = r;
		dir = scan.zones[i].dir;
	}
	if (error)
		return refuse_unreadable(s, error, dir);
	return scan.unnamed > 0 ? refuse_masked(s) : refuse_absent(s, -ENOENT);
}

/* Opens one zone as the sensor's next domain; a zone that cannot be read is left out. */
static void add_zone(struct sensor *s, const struct zone *z)
{
	struct counter c = { .host = s->host, .zone = *z, .file = NUMFILE_INIT };
	struct powercap *state = s->state;
	int64_t uj = 0;
	unsigned esu;
	struct domain *d;

	c.file.fd = zone_open_energy(s->host, z->dir);
	if (c.file.fd < 0)
		return;
	if (numfile_read_fd(c.file.fd, &uj) < 0 || uj < 0 || !(d = sensor_add_domain(s))) {
		numfile_close(&c.file);
		return;
	}
	zone_describe(s->host, z, d);
	if (*z->parent)
		for (size_t i = 0; i + 1 < s->n_domains; i++)
			if (strcmp(s->domains[i].name, z->parent) == 0 && d->kind != KIND_DRAM)
				d->parent = (int) i;
	c.exact = recover_unit(z->range_uj, (uint64_t) uj, &c.unit_nj, &esu);
	if (c.exact) {
		d->modulus = UINT64_C(1) << 32;
		d->unit_num = 1000000;
		d->unit_den = UINT64_C(1) << esu;
	} else {
		d->modulus = z->range_uj ? z->range_uj + 1 : 0;
	}
	state->counters[s->n_domains - 1] = c;
}

static int powercap_open(struct sensor *s)
{
	struct zone_scan scan;
	int r = zones_scan_in_order(s->host, &scan);

	if (r < 0)
		return refuse_absent(s, r);
	s->state = calloc(1, sizeof(struct powercap));
	if (!s->state)
		return sensor_refuse(s, -ENOMEM, NULL, "out of memory");
	for (size_t i = 0; i < scan.n; i++)
		if (zone_role(s->host, &scan.zones[i]) != ROLE_NONE &&
			!zone_is_duplicate(s->host, &scan, i))
			add_zone(s, &scan.zones[i]);
	if (s->n_domains == 0)
		return sensor_refuse(s, -ENOENT, NULL, "no zone can be read any more");
	return 0;
}

/* The zone may have come back under another number: modules are loaded again, CPUs come online. */
static int find_again(void *counter)
{
	struct counter *c = counter;
	struct zone *z = &c->zone;
	struct zone_scan scan;
	int r = zones_scan(c->host, &scan);

	if (r < 0)
		return r;
	for (size_t i = 0; i < scan.n; i++) {
		const struct zone *found = &scan.zones[i];

		if (strcmp(found->name, z->name) == 0 && strcmp(found->parent, z->parent) == 0) {
			memcpy(z->dir, found->dir, sizeof(z->dir));
			return zone_open_energy(c->host, z->dir);
		}
	}
	return -ENODEV;
}

static int read_counter(struct counter *c, uint64_t now_ns, uint64_t *ret_uj)
{
	int64_t uj;
	int r = numfile_read(&c->file, now_ns, find_again, c, &uj);

	if (r < 0)
		return r;
	if (uj < 0)
		return -EINVAL;
	*ret_uj = (uint64_t) uj;
	return 0;
}

static int powercap_read(struct sensor *s, struct reading *ret)
{
	struct powercap *state = s->state;
	uint64_t before_ns = host_now_ns(s->host);

	for (size_t i = 0; i < s->n_domains; i++) {
		struct counter *c = &state->counters[i];
		uint64_t uj = 0, after_ns;

		ret[i] = (struct reading) { .flags = FLAG_MEASURED };
		if (sensor_skips(s, i, &ret[i]))
			continue;
		ret[i].error = read_counter(c, before_ns, &uj);
		after_ns = host_now_ns(s->host);
		if (ret[i].error == 0) {
			ret[i].raw = c->exact ? count_of(uj, c->unit_nj) : uj;
			ret[i].t_ns = before_ns + (after_ns - before_ns) / 2;
			ret[i].t_err_ns = (after_ns - before_ns) / 2;
			ret[i].stale_ns = RAPL_UPDATE_NS;
		}
		before_ns = after_ns;
	}
	return 0;
}

static void powercap_close(struct sensor *s)
{
	struct powercap *state = s->state;

	if (!state)
		return;
	for (size_t i = 0; i < s->n_domains; i++)
		numfile_close(&state->counters[i].file);
	free(state);
	s->state = NULL;
}

const struct sensor_ops sensor_rapl_powercap = {
	.name = "rapl-powercap",
	.role = SENSOR_HARDWARE,
	.gives = "CPU packages; memory and platform where the processor tells",
	.kinds = RAPL_KINDS,
	.sure_kinds = KIND_BIT(KIND_CPU),
	.polled = false,
	.probe = powercap_probe,
	.open = powercap_open,
	.read = powercap_read,
	.close = powercap_close,
	.group = RAPL_GROUP,
};
