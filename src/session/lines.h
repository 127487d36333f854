// SPDX-License-Identifier: MIT
/*
 * When a line of the log is due. Ticks come on one grid for the whole program, while targets come
 * and go between them; the rules make lines of about a period each, so that ten seconds at two
 * lines a second are twenty lines wherever they begin on the grid.
 */
#ifndef PM_SESSION_LINES_H
#define PM_SESSION_LINES_H

#include <stdbool.h>
#include <stdint.h>

struct line_clock {
	uint64_t period_ns;
	uint64_t last_ns; /* the target's first reading or its last line */
	bool any;         /* there was a line */
};

enum line_end {
	LINE_GOES_ON,
	LINE_ENDS_AS_KNOWN, /* the time that was asked for is up */
	LINE_ENDS_EARLY,    /* stopped, or the process ended */
};

/* Whether a snapshot at t_ns writes a line. tick: it is on the grid. known_end_ns: when the target
 * will end, 0 if nobody knows.
 *  - A tick does if half a period has passed since the last line; else its time joins the next.
 *  - A known end does, and takes the place of a tick at most half a period before it: of a session
 *    that begins and ends half way between ticks, one of the two halves joins its neighbour.
 *  - An unforeseen end does unless less than a quarter period has passed: power over a few
 *    milliseconds is noise; but who had no line at all gets one. */
bool line_is_due(const struct line_clock *l, uint64_t t_ns, bool tick, uint64_t known_end_ns,
	enum line_end end);

#endif
