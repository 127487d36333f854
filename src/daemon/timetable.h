// SPDX-License-Identifier: MIT
/*
 * When the sampler has something to do: a grid of ticks, and the times that sessions end.
 */
#ifndef PM_DAEMON_TIMETABLE_H
#define PM_DAEMON_TIMETABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "meter/domain.h"

/* One grid for all kinds, of the shortest period; each kind has a tick where its own grid has a point
 * since its last one. */
struct grid {
	uint64_t period_ns[KIND_COUNT];
	uint64_t step_ns; /* the shortest of them */
	uint64_t origin_ns;
	uint64_t next_ns; /* the next tick; 0: it was not begun */
	/* How many of a kind's periods had begun at its last tick. */
	uint64_t last_index[KIND_COUNT];
};

void grid_init(struct grid *g, const uint64_t period_ns[KIND_COUNT]);

/* Begins anew with the time that is given. */
void grid_begin(struct grid *g, uint64_t now_ns);

/* Moves to the next tick after now, which is not before the present one. Returns how many ticks were
 * jumped over, and the kinds that are due with the latest that has come. */
uint64_t grid_pass(struct grid *g, uint64_t now_ns, uint32_t *ret_kinds);

struct deadline {
	uint32_t id;
	uint64_t t_ns;
};

struct deadlines {
	struct deadline *list;
	size_t n;
	size_t cap;
};

/* Sets or (t_ns is 0) takes back the one with that id. Without memory it is left out. */
void deadlines_set(struct deadlines *d, uint32_t id, uint64_t t_ns);

/* UINT64_MAX: there is none. */
uint64_t deadlines_earliest(const struct deadlines *d);

/* Takes those out that are over; tells whether there were any. */
bool deadlines_pass(struct deadlines *d, uint64_t now_ns);

void deadlines_finish(struct deadlines *d);

#endif
