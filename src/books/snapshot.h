// SPDX-License-Identifier: MIT
/*
 * Taking snapshots: everything that is measured, read at one instant.
 */
#ifndef PM_BOOKS_SNAPSHOT_H
#define PM_BOOKS_SNAPSHOT_H

#include "machine/host.h"
#include "meter/rig.h"
#include "target/target.h"

/* A run of snapshots that can be compared with each other. */
struct series {
	struct host *host; /* borrowed */
	struct rig *rig;   /* borrowed */
	bool begun;
	uint64_t last_ns;
	uint64_t capacity_ns;
	uint32_t wanted;
	uint32_t restarted; /* told with the next snapshot */

	/* Whether idle time is of interest. Without it just the CPUs are counted in a tick. */
	bool wants_idle;
	uint64_t looked_ns;                /* when either was done last */
	uint64_t users_ns[METER_MAX_USED]; /* the looks that the targets' used_ppm are of */
};

/* The machine's usage is not read, nor are CPUs counted, more often than this in ticks: /proc/stat
 * is the dearest file of all, and its idle columns move in steps of 10 ms. Edges read it anyway. */
#define SERIES_USAGE_EVERY_NS (100 * NS_PER_MS)

/* wants_idle is set until it is changed. */
void series_init(struct series *s, struct host *host, struct rig *rig);

/* Says which kinds will be read; to be called before the first snapshot and at each change. With
 * 0 the series ends, and the next snapshot begins a new one. */
void series_want(struct series *s, uint32_t kinds);

/* Reads the machine's usage, then the targets, then the domains of the given kinds, which must be
 * wanted. ret has room for snapshot_size(rig_n_domains(), n_targets). flags is 0 or SNAPSHOT_EDGE;
 * SNAPSHOT_FIRST is added. No allocation. */
void snapshot_take(struct series *s, uint32_t kinds, struct target *const *targets,
	size_t n_targets, unsigned flags, struct snapshot *ret);

#endif
