// SPDX-License-Identifier: MIT
/*
 * Who gets which part of a domain's energy: pure functions over one interval.
 *
 * The rule is the share of the machine's CPU capacity: a target that used 1 s of CPU time in an
 * interval in which n CPUs could have given n seconds gets 1/n of the energy (Scaphandre's rule,
 * applied to one domain). What the CPUs idled away is `idle`, what is left is `other`. All is done
 * in integers, and the parts always add up to the whole.
 */
#ifndef PM_BOOKS_SHARE_H
#define PM_BOOKS_SHARE_H

#include "meter/domain.h"

enum idle_policy {
	IDLE_SEPARATE,     /* idle is a part of its own */
	IDLE_PROPORTIONAL, /* whoever ran gets it, in proportion */
};

/* An interval of one domain. What goes by CPU time has its capacity and use in nanoseconds of it,
 * what goes by the use of a device in millionths of the device. */
struct share_interval {
	uint64_t energy_uj;
	uint64_t capacity; /* what could have been used */
	uint64_t idle;     /* of which nobody used */
	enum idle_policy policy;
};

/* One target of it. The first member is input, the last output; the others are kept by the caller
 * from interval to interval and begin as 0. */
struct share_target {
	uint64_t used;     /* in the interval */
	uint64_t surplus;  /* what did not fit into the intervals before */
	uint64_t fraction; /* energy below a microjoule that was not given yet, in 2^-24 uJ */
	uint64_t energy_uj;
};

/* Gives each target its energy; returns what is left. If the targets claim more than the capacity
 * (their clocks are as fresh as the kernel's last tick only, so that one interval's time may show
 * in the next), the claims are cut in proportion and the surplus is carried on. */
uint64_t share_split(const struct share_interval *interval, struct share_target *targets, size_t n);

/* The idle part of what is left of an interval: its share of the capacity, at most the rest. */
uint64_t share_idle(const struct share_interval *interval, uint64_t rest_uj);

/* What is known of a figure's uncertainty. */
struct share_doubt {
	struct energy domain; /* the domain's energy in the interval, with its range */
	uint64_t capacity_ns;
	uint64_t used_ns;
	uint64_t used_low_ns;  /* the target's CPU time was at least this ... */
	uint64_t used_high_ns; /* ... and at most this */
};

/* The range of a target's energy around the estimate that share_split() gave it (perhaps as the
 * sum over parts of the interval). */
struct energy share_range(const struct share_doubt *doubt, uint64_t energy_uj);

/* How far apart the part's least and most are for its CPU time alone. */
double share_clock_doubt(const struct share_doubt *doubt, uint64_t energy_uj);

#endif
