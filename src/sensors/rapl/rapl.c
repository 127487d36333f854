// SPDX-License-Identifier: MIT
#include "sensors/rapl/rapl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/cpulist.h"
#include "util/parse.h"

#define CPU_DIR "/sys/devices/system/cpu"

/* ---- places ----------------------------------------------------------------------------- */

bool rapl_is_amd(const struct host *h)
{
	return h->cpu.vendor == CPU_AMD || h->cpu.vendor == CPU_HYGON;
}

static bool read_id(const struct host *h, int cpu, const char *file, int *ret)
{
	char path[96], text[32];
	uint64_t id;

	snprintf(path, sizeof(path), CPU_DIR "/cpu%d/topology/%s", cpu, file);
	if (host_read_text(h, path, text, sizeof(text)) < 0 || parse_u64(text, &id) < 0 ||
		id > INT32_MAX)
		return false;
	*ret = (int) id;
	return true;
}

bool rapl_place_of(const struct host *h, int cpu, struct rapl_place *ret)
{
	struct rapl_place place = { .cpu = cpu };

	if (!read_id(h, cpu, "physical_package_id", &place.package))
		return false;
	/* AMD's counter is the package's, on whichever die it is read; kernels before 5.3 know no
	 * dies, and count by package. */
	if (rapl_is_amd(h) || !read_id(h, cpu, "die_id", &place.die))
		place.die = 0;
	*ret = place;
	return true;
}

const struct rapl_place *rapl_same_place(
	const struct rapl_places *p, const struct rapl_place *place)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->at[i].package == place->package && p->at[i].die == place->die)
			return &p->at[i];
	return NULL;
}

/* Enters the CPU's place; the lowest CPU of a place stays. */
static void add_cpu(const struct host *h, struct rapl_places *p, int cpu)
{
	const struct rapl_place *known;
	struct rapl_place place;

	if (!rapl_place_of(h, cpu, &place))
		return;
	known = rapl_same_place(p, &place);
	if (known) {
		if (cpu < known->cpu)
			p->at[known - p->at].cpu = cpu;
		return;
	}
	if (p->n == RAPL_MAX_PLACES)
		return;
	for (size_t i = 0; i < p->n; i++)
		p->by_die |= p->at[i].package == place.package;
	p->at[p->n++] = place;
}

static int compare_places(const void *a, const void *b)
{
	const struct rapl_place *x = a, *y = b;

	return x->package != y->package ? (x->package > y->package) - (x->package < y->package)
					: (x->die > y->die) - (x->die < y->die);
}

int rapl_find_places(const struct host *h, const char *cpus, struct rapl_places *ret)
{
	struct cpulist list = { .at = cpus };
	int cpu;

	*ret = (struct rapl_places) { 0 };
	while (cpulist_next(&list, &cpu))
		add_cpu(h, ret, cpu);
	qsort(ret->at, ret->n, sizeof(ret->at[0]), compare_places);
	return ret->n > 0 ? 0 : -ENODEV;
}

/* ---- domains ---------------------------------------------------------------------------- */

static const struct {
	const char *suffix; /* behind the package's name */
	enum kind kind;
	bool counted;
	bool inside; /* the package */
	const char *scope;
} roles[RAPL_ROLES] = {
	[RAPL_PACKAGE] = { "", KIND_CPU, true, false, "package" },
	[RAPL_CORES] = { "-core", KIND_CPU, false, true, "cores, part of the package" },
	[RAPL_DRAM] = { "-dram", KIND_DRAM, true, false, "memory" },
	/* No GPU of the kind: its joules are the package's, and a machine may have a GPU beside it. */
	[RAPL_GPU] = { "-uncore", KIND_CPU, false, true, "integrated GPU, part of the package" },
	[RAPL_PSYS] = { "psys", KIND_PLATFORM, true, false, "platform, includes the packages" },
};

/* As powercap calls them. */
static void name_package(const struct rapl_places *p, const struct rapl_place *place, char ret[48])
{
	if (p->by_die)
		snprintf(ret, 48, "package-%d-die-%d", place->package, place->die);
	else
		snprintf(ret, 48, "package-%d", place->package);
}

static int domain_named(const struct sensor *s, const char *name)
{
	for (size_t i = 0; i < s->n_domains; i++)
		if (strcmp(s->domains[i].name, name) == 0)
			return (int) i;
	return -1;
}

void rapl_describe(enum rapl_role role, struct domain *d)
{
	snprintf(d->scope, sizeof(d->scope), "%s", roles[role].scope);
	d->kind = roles[role].kind;
	d->counted = roles[role].counted;
	d->update_ns = RAPL_UPDATE_NS;
	/* Parts may draw nothing for long; what is whole always draws something. */
	d->learns_pace = !roles[role].inside;
	d->max_power_mw = RAPL_PACKAGE_MAX_MW;
	d->burst_mw = role == RAPL_DRAM ? RAPL_DRAM_BURST_MW : RAPL_BURST_MW;
	if (role == RAPL_PSYS) {
		d->covers = KIND_BIT(KIND_CPU) | KIND_BIT(KIND_DRAM);
		d->max_power_mw = RAPL_PLATFORM_MAX_MW;
	}
}

struct domain *rapl_add_domain(struct sensor *s, const struct rapl_places *p,
	const struct rapl_place *place, enum rapl_role role)
{
	char package[48], name[64];
	struct domain *d;

	name_package(p, place, package);
	if (role != RAPL_PSYS)
		snprintf(name, sizeof(name), "%s%s", package, roles[role].suffix);
	else if (place->package == 0)
		snprintf(name, sizeof(name), "psys");
	else
		snprintf(name, sizeof(name), "psys-%d", place->package);
	if (domain_named(s, name) >= 0 || !(d = sensor_add_domain(s)))
		return NULL;
	memcpy(d->name, name, sizeof(d->name));
	rapl_describe(role, d);
	d->parent = roles[role].inside ? domain_named(s, package) : -1;
	return d;
}

int rapl_refuse_absent(struct sensor *s, int error, const char *fix, const char *reason)
{
	const struct cpuinfo *cpu = &s->host->cpu;

	if (cpu->hypervisor)
		return sensor_refuse(s, error, NULL,
			"this is a virtual machine: hypervisors do not pass RAPL on");
	if (cpu->vendor == CPU_ARM)
		return sensor_refuse(s, error, NULL, "ARM processors have no RAPL");
	if (cpu->other)
		return sensor_refuse(s, error, NULL, "only x86 processors have RAPL");
	return sensor_refuse(s, error, fix, "%s", reason);
}

int rapl_refuse_undriven(struct sensor *s, int error, const char *module, const char *what)
{
	char path[64], fix[64], reason[192];

	snprintf(path, sizeof(path), "/sys/module/%s", module);
	snprintf(fix, sizeof(fix), "sudo modprobe %s", module);
	if (s->host->live && !host_has(s->host, "/sys/module")) {
		snprintf(reason, sizeof(reason), "%s: /sys is not mounted, or hidden", what);
		return rapl_refuse_absent(s, error, NULL, reason);
	}
	if (host_has(s->host, path)) {
		snprintf(reason, sizeof(reason),
			"%s, though the driver %s is loaded: it does not know this processor, or its "
			"files are hidden",
			what, module);
		return rapl_refuse_absent(s, error, NULL, reason);
	}
	snprintf(reason, sizeof(reason), "%s: the kernel's driver is not loaded", what);
	return rapl_refuse_absent(s, error, fix, reason);
}
