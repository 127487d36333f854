// SPDX-License-Identifier: MIT
/*
 * What the ways to RAPL's counters have in common: which CPUs share a set of counters, and what
 * the domains are called and stand for. A domain has the same name whichever way it is read.
 */
#ifndef PM_SENSORS_RAPL_RAPL_H
#define PM_SENSORS_RAPL_RAPL_H

#include "meter/sensor.h"

/* Only one sensor of the group is used: they read the same registers. */
#define RAPL_GROUP "rapl"

/* What the group is for. Some processors count an integrated GPU, too, as part of the package. */
#define RAPL_KINDS (KIND_BIT(KIND_CPU) | KIND_BIT(KIND_DRAM) | KIND_BIT(KIND_PLATFORM))

/* As registers are updated: AMD "every 1ms", Intel about 2^-10 s. What is passed on to a guest may be
 * updated less often: domains of whole packages learn it (meter/pulse.h). */
#define RAPL_UPDATE_NS UINT64_C(1000000)

/* What is allowed for in some milliseconds of which nothing was seen, where no limit can be read: above the
 * short-term limits of desktops and laptops, and for servers there is what was seen of them. */
#define RAPL_BURST_MW UINT64_C(250000)
#define RAPL_DRAM_BURST_MW UINT64_C(60000)

/* Above any package that is sold, and far below what a counter that restarted would seem to show. */
#define RAPL_PACKAGE_MAX_MW UINT64_C(1000000)
#define RAPL_PLATFORM_MAX_MW UINT64_C(20000000)

/* AMD counts each core on its own, which has to be asked on that core: more rarely, and of so many
 * at most, or a tick would take too long and wake too many. */
#define RAPL_CORES_PERIOD_NS (100 * NS_PER_MS)
#define RAPL_MAX_CORES 64

/* In the order of a package's domains. */
enum rapl_role { RAPL_PACKAGE, RAPL_CORES, RAPL_DRAM, RAPL_GPU, RAPL_PSYS, RAPL_ROLES };

/* What has a set of counters of its own: a package, at Intel a die of it. */
struct rapl_place {
	int package;
	int die;
	int cpu; /* where they can be read */
};

#define RAPL_MAX_PLACES 32

struct rapl_places {
	struct rapl_place at[RAPL_MAX_PLACES];
	size_t n;
	bool by_die; /* a package has several */
};

bool rapl_is_amd(const struct host *h);

/* Where a CPU is; false where that is not told, as of one that is offline. */
bool rapl_place_of(const struct host *h, int cpu, struct rapl_place *ret);

/* The places of the CPUs of a list, packages in the order of their numbers. Allocates nothing.
 * Returns 0, or -ENODEV where there are none. */
int rapl_find_places(const struct host *h, const char *cpus, struct rapl_places *ret);

/* The place by its package and die, or NULL. */
const struct rapl_place *rapl_same_place(
	const struct rapl_places *p, const struct rapl_place *place);

/* Adds a domain of a place to the sensor: name, scope, kind, parent, limits; its unit is left to
 * the caller. Packages come before their parts. NULL where there is no room, or where it is there
 * already. */
struct domain *rapl_add_domain(struct sensor *s, const struct rapl_places *p,
	const struct rapl_place *place, enum rapl_role role);

/* Fills what a domain of that role stands for, but not its name, parent or unit. */
void rapl_describe(enum rapl_role role, struct domain *d);

/* Says why there is nothing to read: it is no processor that has RAPL, or else what the caller
 * says. Returns error. */
int rapl_refuse_absent(struct sensor *s, int error, const char *fix, const char *reason);

/* Says why what a driver shows is not there, and to load the driver if it is not. what: "FILE is not
 * there". Returns error. */
int rapl_refuse_undriven(struct sensor *s, int error, const char *module, const char *what);

#endif
