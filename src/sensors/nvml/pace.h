// SPDX-License-Identifier: MIT
/*
 * When a value that is updated at a steady pace was updated.
 *
 * A GPU's energy counter moves ten times a second, and the driver does not always tell when: read
 * at any other time it is up to a tenth of a second old, which at two lines a second turns a
 * steady 300 W into anything from 239 to 360 W. So the pace is learned and followed: each read is
 * placed close to the update that is expected, and what it finds narrows down where the update is.
 */
#ifndef PM_SENSORS_NVML_PACE_H
#define PM_SENSORS_NVML_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace {
	uint64_t period_ns;
	/* The last update that was located: it happened within err_ns of at_ns. Consecutive updates
	 * are a period apart, give or take a few thousandths: what is learned of them comes in
	 * little by little, so that energy divided by their distance is steady. */
	bool located;
	uint64_t at_ns;
	uint64_t err_ns;

	uint64_t value;   /* as of the last read */
	uint64_t read_ns; /* when that was, at the earliest; 0: never */
	unsigned n_vain;  /* reads in a row that found nothing new */

	/* As far as is known, the update was not before at_ns + low_ns nor after at_ns + high_ns. */
	int64_t low_ns;
	int64_t high_ns;
	unsigned since_low; /* updates since a read just before one found it still to come */
	int surprises;      /* in a row: updates later (below 0: earlier) than they could be */
	int64_t jitter_ns;  /* how irregular updates are, as far as was seen */

	/* The pace is the distance to an earlier update, through the number of periods. */
	uint64_t pace_err_ns; /* how well it is known */
	uint64_t base_ns;     /* that update's place ... */
	uint64_t base_err_ns;
	uint64_t n_periods;
	bool measuring; /* nothing is known of the pace any more: it is what two updates are apart */
};

/* period_ns: the pace as far as it is known; learned better from then on. */
void pace_init(struct pace *e, uint64_t period_ns);

/* Forgets where updates are, not how often: reading was paused. */
void pace_restart(struct pace *e);

/* Takes a read of the value at t_ns. Returns whether the value is new; at_ns and err_ns are then
 * the time of its update, if located is set. */
bool pace_step(struct pace *e, uint64_t value, uint64_t t_ns);

/* The same for a read of which nobody knows when it was between these two times. */
bool pace_step_within(struct pace *e, uint64_t value, uint64_t from_ns, uint64_t to_ns);

/* When to read next. */
uint64_t pace_next_ns(const struct pace *e, uint64_t now_ns);

#endif
