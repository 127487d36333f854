// SPDX-License-Identifier: MIT
/*
 * From a raw counter that starts again now and then to energy that only grows. The one place in
 * the program where counter values are subtracted.
 */
#ifndef PM_METER_UNWRAP_H
#define PM_METER_UNWRAP_H

#include "meter/domain.h"

struct unwrap {
	bool started;
	uint64_t raw;      /* last value */
	uint64_t t_ns;     /* and its time */
	uint64_t t_err_ns; /* and how well that is known */
	uint64_t since_ns;
	uint64_t energy_uj;
	uint64_t rest; /* what is below a microjoule, in units of 1/unit_den; carried, never lost */
};

/* Forgets everything: the next reading begins anew. */
void unwrap_restart(struct unwrap *u);

/* Takes the next reading of a domain and fills its energy_uj and since_ns. A failed reading
 * passes unchanged.
 *
 * A value below the last one is a wrap if the energy between them is possible at the domain's
 * highest power; else, and where a value rose by more than is possible, or where more than one
 * wrap fits into the time, it is a reset: counting begins anew at this reading, with another
 * since_ns, because nobody knows what was used since the last one. A value beyond the modulus
 * turns into an error, -ERANGE. */
void unwrap_step(struct unwrap *u, const struct domain *d, struct reading *r);

#endif
