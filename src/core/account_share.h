// SPDX-License-Identifier: MIT
/*
 * A domain's energy between two of its readings, shared out between the targets, idle and other.
 */
#ifndef PM_CORE_ACCOUNT_SHARE_H
#define PM_CORE_ACCOUNT_SHARE_H

#include "core/account_state.h"

/* Shares the energy between the domain's point and a new one out, among the targets whose slots are
 * in a->slots; then that is the point. */
void account_advance(
	struct account *a, size_t d, uint32_t n_targets, const struct point *now, unsigned flags);

/* Moves what short slices left over into idle and other. */
void account_settle(struct domain_book *b);

#endif
