// SPDX-License-Identifier: MIT
/*
 * What was used between two readings of a gauge: by those whom somebody asked about, by the tool
 * itself, and by the rest of the machine. For each kind the parts add up to the whole exactly.
 */
#ifndef PM_BOOKS_MEASUREMENT_H
#define PM_BOOKS_MEASUREMENT_H

#include "books/gauge.h"

struct kind_figures {
	bool known;      /* a sensor told it */
	bool shared;     /* it could be shared out: else all of it is `other_uj` */
	bool idle_known; /* else what idled is in `other_uj` */
	bool partial;    /* of some of the time no energy is known: it is the least that was used */
	unsigned flags;
	struct energy whole; /* of the counted domains */
	struct energy asked; /* of those who were asked about */
	uint64_t tool_uj;
	uint64_t idle_uj;
	uint64_t other_uj;
	uint64_t peak_uw; /* the most over one of the intervals that were looked at; 0: none was */
};

struct domain_figures {
	bool known;
	bool partial;        /* as above */
	uint64_t covered_ns; /* of the elapsed time, how much the energy is of */
	bool outermost;      /* a term of the machine's sum (rig_is_outermost()) */
	struct energy energy;
	unsigned flags;
};

struct measurement {
	uint64_t elapsed_ns;
	uint64_t asked_cpu_ns;
	uint64_t tool_cpu_ns;
	uint64_t capacity_ns; /* CPU time that the machine could have given */
	uint64_t idle_ns;     /* ... and did not */
	struct kind_figures kinds[KIND_COUNT];
	struct domain_figures domains[RIG_MAX_DOMAINS];
	bool machine_known;
	bool failing;          /* a counted domain cannot be read at present, and is not given up */
	bool partial;          /* a counted domain is */
	struct energy machine; /* of the outermost domains */
};

/* The state that a measurement is the difference from. */
struct measurement_base;

/* slots[0 .. n): the targets that are asked about; tool: this program's. Begins at the gauge's last
 * reading. Returns 0 or -ENOMEM. */
int measurement_begin(struct measurement_base **ret, const struct gauge *g, const struct rig *rig,
	const uint32_t *slots, size_t n, uint32_t tool);
void measurement_free(struct measurement_base *b);

/* Begins anew at the gauge's last reading. */
void measurement_renew(struct measurement_base *b);

/* Looks at the interval since the last look for peaks; to be called after readings in between. */
void measurement_look(struct measurement_base *b);

/* What was used up to the gauge's last reading. */
void measurement_take(const struct measurement_base *b, struct measurement *ret);

/* The same for one of the targets alone. */
void measurement_take_one(const struct measurement_base *b, size_t i, struct measurement *ret);

/* Adds one measurement to another, part by part: a sum adds up like its terms. */
void measurement_add(struct measurement *sum, const struct measurement *m);

#endif
