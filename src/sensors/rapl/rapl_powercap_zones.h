// SPDX-License-Identifier: MIT
/*
 * The powercap class's zones for RAPL: which there are, what they mean, and which of them are only
 * another view of one that was seen already.
 */
#ifndef PM_SENSORS_RAPL_RAPL_POWERCAP_ZONES_H
#define PM_SENSORS_RAPL_RAPL_POWERCAP_ZONES_H

#include "meter/sensor.h"

#define POWERCAP_DIR "/sys/class/powercap"
#define ZONES_MAX SENSOR_MAX_DOMAINS

struct zone {
	char dir[32];    /* "intel-rapl:0:1" */
	char name[32];   /* what its name file says */
	char parent[32]; /* the parent's name; empty for a top-level zone */
	bool mmio;
	uint64_t range_uj;
};

struct zone_scan {
	const struct host *host;
	struct zone zones[ZONES_MAX];
	size_t n;
	size_t unnamed; /* zone links whose files are not there: a masked tree */
};

enum zone_role { ROLE_NONE, ROLE_PACKAGE, ROLE_CORES, ROLE_GPU, ROLE_DRAM, ROLE_PSYS };

/* Looks which zones there are. Allocates nothing: also called while sampling. */
int zones_scan(const struct host *h, struct zone_scan *scan);

/* The same, sorted: packages first, in the order of their numbers; parts behind their package. */
int zones_scan_in_order(const struct host *h, struct zone_scan *scan);

/* ROLE_NONE: it stands for nothing. */
enum zone_role zone_role(const struct host *h, const struct zone *z);

/* Whether an earlier zone already is this one: the MMIO view of a zone that the MSR driver shows
 * too, a second driver's zone of the same name, or on AMD a further die, whose zone mirrors the
 * one counter of the package on old kernels. Zones are sorted. */
bool zone_is_duplicate(const struct host *h, const struct zone_scan *scan, size_t i);

/* Fills what does not depend on the counter: names, kind, scope and the most that is possible. */
void zone_describe(const struct host *h, const struct zone *z, struct domain *d);

/* Opens a zone's counter. Returns the descriptor or -errno. */
int zone_open_energy(const struct host *h, const char *dir);

#endif
