// SPDX-License-Identifier: MIT
/*
 * From a raw counter that starts again now and then to energy that only grows. The one place in
 * the program where counter values are subtracted.
 */
#ifndef PM_METER_UNWRAP_H
#define PM_METER_UNWRAP_H

#include "meter/domain.h"
#include "meter/pulse.h"

struct unwrap {
	struct pulse pulse;
	bool started;
	uint64_t raw;      /* last value */
	uint64_t t_ns;     /* and its time */
	uint64_t t_err_ns; /* and how well that is known */
	uint64_t stale_ns; /* and how old it may have been */
	/* A value that came after it and cannot follow it: the next one decides which of them is wrong. */
	bool suspects;
	uint64_t suspect_raw;
	uint64_t suspect_t_ns;
	uint64_t since_ns;
	uint64_t energy_uj;
	uint64_t rest; /* what is below a microjoule, in units of 1/unit_den; carried, never lost */
};

/* Forgets everything but how often the counter is updated: the next reading begins anew. */
void unwrap_restart(struct unwrap *u);

/* Takes the next reading of a domain and fills its stale_ns, energy_uj and since_ns. A failed reading
 * passes unchanged.
 *
 * A value below the last one is a wrap if the energy between them is possible at the domain's
 * highest power; else, and where a value rose by more than is possible, it cannot follow: the first
 * such reading becomes the error -EBADMSG. If the next one can follow the last good one, and not
 * the odd one, that was a glitch, and nothing is lost; else the counter was reset: counting begins again,
 * with another since_ns, because nobody knows what was used since the last good one. Where more than one wrap fits
 * into the time, and where the sensor says so by FLAG_RESET, it is a reset at once. A value beyond the modulus becomes the error -ERANGE. */
void unwrap_step(struct unwrap *u, const struct domain *d, struct reading *r);

#endif
