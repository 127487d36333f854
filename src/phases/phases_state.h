// SPDX-License-Identifier: MIT
/*
 * What is kept of phases, for phases/phases*.c alone.
 *
 *   phases.c         taking in, markers as stretches of time, forgetting what is settled
 *   phases_energy.c  what was used in these, interval by interval
 */
#ifndef PM_PHASES_PHASES_STATE_H
#define PM_PHASES_PHASES_STATE_H

#include "phases/phases.h"

struct pending {
	struct phase_marker marker;
	uint64_t order; /* in which they came: it decides between equal times */
};

/* A stretch of time; to_ns is UINT64_MAX while it lasts. */
struct stretch {
	uint64_t from_ns;
	uint64_t to_ns;
};

/* What a track has of a name. */
struct sum {
	uint64_t uj;
	uint64_t low_uj;
	uint64_t high_uj;
	bool known;
	bool in_row; /* the last interval was wholly the name's */
	uint64_t row_uj;
	uint64_t row_from_doubt_uj; /* of the row's first reading, ... */
	uint64_t row_doubt_uj;      /* ... and with its last one's */
	bool in_chain;              /* the last interval was the name's in part at least */
	uint64_t chain_uj;
	uint64_t chain_limited_uj;
	uint64_t chain_from_doubt_uj;
	uint64_t chain_doubt_uj;
	unsigned flags;
};

struct name {
	bool seen;
	uint64_t rank; /* in the order of first markers */
	uint64_t count, unfinished, stray_ends, on_ns, sum_ns;
	uint64_t active;
	struct stretch *stretches; /* in order, disjoint; the last may be open */
	size_t n, cap;
	struct sum *sums; /* by track */
};

struct thread {
	uint32_t *open; /* names, in the order of their beginning */
	size_t n, cap;
};

struct track {
	struct phase_track limits;
	struct phase_point *points;
	size_t n, cap;
	/* The interval from points[next] is the next one to be settled; the one before it is kept
	 * for its power. */
	size_t next;
	uint64_t peak_mw;
	bool begun;      /* the first interval is settled */
	bool incomplete; /* some time of phases passed before it was read */
};

struct phases {
	uint64_t begin_ns;
	uint64_t applied_ns; /* markers up to this time are in the stretches */
	uint64_t n_marked;
	uint64_t n_names;
	size_t n_stretches;
	struct pending *pending;
	size_t n_pending, cap_pending;
	bool sorted;
	struct phase_troubles troubles;
	struct name names[PHASES_MAX_NAMES];
	struct thread threads[PHASES_MAX_THREADS];
	size_t n_tracks;
	struct track tracks[];
};

static inline uint64_t phases_at_least(uint64_t value, uint64_t less)
{
	return value > less ? value - less : 0;
}

/* Gives each name its part of the interval from reading i of a track to the next. */
void phases_settle_interval(struct phases *p, size_t track, size_t i);

/* The same for all that are left, and for what lies beyond them. */
void phases_finish_track(struct phases *p, size_t track, uint64_t end_ns);

#endif
