// SPDX-License-Identifier: MIT
/*
 * How old a counter's value may be when it is read, learned from the reads themselves.
 *
 * A counter moves in steps at times of its own: RAPL's every millisecond, the same one passed on to a
 * virtual machine every second, and one that is stuck never again. What it shows became true after the
 * read before the one that saw its last change. From that follows how far updates are apart at most,
 * and a value that stays for much longer than that is an error and not 0 W.
 */
#ifndef PM_METER_PULSE_H
#define PM_METER_PULSE_H

#include "meter/domain.h"

/* Of a value that was never seen to change nobody knows how old it is. */
#define PULSE_UNKNOWN_NS UINT64_MAX

/* A counter that has never moved is believed to be one for this long. */
#define PULSE_NEVER_NS (3 * NS_PER_S)

struct pulse {
	bool started;
	uint64_t raw;
	uint64_t begin_ns;   /* of the first read */
	uint64_t read_ns;    /* of the last one */
	uint64_t before_ns;  /* the last change came after this read ... */
	uint64_t changed_ns; /* ... and this one saw it; 0: none was seen */
	uint64_t apart_ns;   /* at most this is between two updates; 0: not known yet */
};

/* Begins to learn again; apart_ns: what is known already, else 0. */
void pulse_restart(struct pulse *p, uint64_t apart_ns);

/* Takes the next reading of a counter and fills its stale_ns; a value that stands still for too long
 * becomes the error -ESTALE. A reading that failed passes unchanged, and so does one of a domain that
 * does not learn_pace. */
void pulse_step(struct pulse *p, const struct domain *d, struct reading *r);

#endif
