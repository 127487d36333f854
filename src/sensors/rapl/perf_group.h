// SPDX-License-Identifier: MIT
/*
 * Counters of one of the kernel's PMUs on one CPU, opened together and read in one go where the
 * PMU allows it.
 *
 * perf_event_open() always asks the running kernel. So where the PMU's files are not that kernel's
 * own, but a copy of another machine's, the counts come from files beside them:
 * counts/cpu3/energy-pkg below the PMU's directory holds the decimal count of that event on CPU 3.
 * A copied machine then shows its figures instead of this one's, and tests need no hook in here.
 */
#ifndef PM_SENSORS_RAPL_PERF_GROUP_H
#define PM_SENSORS_RAPL_PERF_GROUP_H

#include "machine/host.h"

#define PERF_GROUP_MAX 8

struct perf_pmu {
	const char *name; /* "power": a directory of /sys/bus/event_source/devices */
	uint32_t type;
	bool copied;
};

struct perf_event {
	const char *name; /* "energy-pkg": a file of the PMU's events/ */
	uint64_t config;
	uint64_t unit_num; /* microjoules in one count: unit_num / unit_den */
	uint64_t unit_den;
};

struct perf_counter {
	int fd;      /* -1: this event is not counted here */
	int error;   /* why */
	size_t head; /* the counter whose read tells this one's value, too */
};

struct perf_group {
	const struct host *host;
	const struct perf_pmu *pmu;
	const struct perf_event *events;
	int cpu;
	bool copied;
	size_t n;
	struct perf_counter counters[PERF_GROUP_MAX];
};

#define PERF_PMU_DIR "/sys/bus/event_source/devices"

/* Finds the PMU; its name is borrowed. Returns 0 or -errno. */
int perf_pmu_find(const struct host *h, const char *name, struct perf_pmu *ret);

/* Reads an event's code and its unit, which must be joules. ret->name is borrowed. */
int perf_event_find(
	const struct host *h, const struct perf_pmu *pmu, const char *name, struct perf_event *ret);

/* Opens n events on a CPU; they and the PMU are borrowed until the group is closed. Returns 0 if at least one of them counts, else -errno. */
int perf_group_open(const struct host *h, const struct perf_pmu *pmu, int cpu,
	const struct perf_event *events, size_t n, struct perf_group *ret);

/* Reads all, each with its own error: 0 or -errno; -ENODEV where the CPU is gone. */
void perf_group_read(const struct perf_group *g, uint64_t *ret, int *ret_errors);

void perf_group_close(struct perf_group *g);

#endif
