// SPDX-License-Identifier: MIT
/*
 * How sure an energy is: the bounds that are told beside it.
 */
#ifndef PM_BOOKS_ACCOUNT_RANGE_H
#define PM_BOOKS_ACCOUNT_RANGE_H

#include "books/account_state.h"

/* The reading's own uncertainty: the counter stood for up to t_err_ns of the time at either end,
 * at up to the highest power seen; it counts in steps; and its scale may be off. */
struct energy account_domain_range(const struct domain_book *b, const struct interval *interval);

/* What a target has of a domain's energy, by CPU time. */
struct target_part {
	struct energy whole; /* the domain's */
	uint64_t ns;         /* between the readings */
	uint64_t capacity_ns;
	uint64_t used_ns;
	uint64_t energy_uj; /* that it was given */
};

/* The domain's doubt, and that about the target's CPU time. */
struct energy account_target_range(
	const struct account *a, const struct account_target *t, const struct target_part *part);

/* A rest's: the domain's own doubt, in proportion. */
struct energy account_part_range(struct energy domain, uint64_t uj);

#endif
