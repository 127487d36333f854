// SPDX-License-Identifier: MIT
/*
 * Snapshots: everything that is measured, read at one instant.
 */
#ifndef PM_BOOKS_SNAPSHOT_H
#define PM_BOOKS_SNAPSHOT_H

#include "machine/host.h"
#include "meter/rig.h"
#include "target/target.h"

enum snapshot_flag {
	SNAPSHOT_FIRST = 1 << 0, /* sampling began or resumed: nothing before it is comparable */
	SNAPSHOT_EDGE = 1 << 1,  /* somebody waits for it: a session begins or ends */
};

/* All readings, the machine's usage and all targets' usage at one instant, cumulative. The arrays
 * follow the struct in memory, so that it can be copied as one block. */
struct snapshot {
	uint32_t size; /* of the whole block in bytes */
	unsigned flags;
	uint64_t t_ns;
	uint64_t capacity_ns; /* CPU time that the machine could have given since sampling began */
	uint64_t idle_ns;     /* of which idle, as of idle_t_ns */
	uint64_t idle_t_ns;
	uint64_t ordinal; /* the owner's: which requests this snapshot has served */
	uint32_t n_cpu;
	uint32_t missed_ticks; /* since the last snapshot */
	uint32_t kinds; /* KIND_BIT of the kinds that were read; the others' readings are empty */
	uint32_t ticks; /* of these, the kinds that were due on the grid */
	uint32_t restarted; /* kinds whose counting began anew since the last snapshot */
	uint32_t n_domains;
	uint32_t n_targets;
	uint32_t reserved;
};

static inline struct reading *snapshot_readings(const struct snapshot *s)
{
	return (struct reading *) (uintptr_t) (s + 1);
}

static inline struct usage *snapshot_usages(const struct snapshot *s)
{
	return (struct usage *) (uintptr_t) (snapshot_readings(s) + s->n_domains);
}

static inline size_t snapshot_size(size_t n_domains, size_t n_targets)
{
	return sizeof(struct snapshot) + n_domains * sizeof(struct reading) +
		n_targets * sizeof(struct usage);
}

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
