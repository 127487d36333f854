// SPDX-License-Identifier: MIT
/*
 * When a value that is updated at a steady pace was updated.
 *
 * A GPU's energy counter moves ten times a second, and the driver does not always tell when: read
 * at any other time it is up to a tenth of a second old, which at two lines a second turns a
 * steady 300 W into anything from 239 to 360 W. So the pace is learned and followed: each read is
 * placed shortly after the update that is expected, now and then one shortly before it, and what
 * each finds narrows down where the update is.
 */
#ifndef PM_UTIL_EDGE_H
#define PM_UTIL_EDGE_H

#include <stdbool.h>
#include <stdint.h>

struct edge {
	uint64_t period_ns;
	/* The last update that was located: it happened within err_ns of at_ns. */
	bool located;
	uint64_t at_ns;
	uint64_t err_ns;

	uint64_t value;       /* as of the last read */
	uint64_t read_ns;     /* when that was; 0: never */
	bool is_early;        /* the next read is the one before the update */
	unsigned since_early; /* updates since the last such read */
	unsigned misses;      /* in a row, of updates that were not where they should be */
	uint64_t reference_ns; /* an update located long ago, and ... */
	uint64_t n_periods;    /* ... how many periods ago: the pace is learned from these */
};

/* period_ns: the pace as far as it is known; learned better from then on. */
void edge_init(struct edge *e, uint64_t period_ns);

/* Forgets where updates are, not how often: reading was paused. */
void edge_restart(struct edge *e);

/* Takes a read of the value at t_ns. Returns whether the value is new; at_ns and err_ns are then
 * the time of its update, if located is set. */
bool edge_step(struct edge *e, uint64_t value, uint64_t t_ns);

/* When to read next. */
uint64_t edge_next_ns(const struct edge *e, uint64_t now_ns);

#endif
