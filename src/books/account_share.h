// SPDX-License-Identifier: MIT
/*
 * A domain's energy between two of its readings, shared out between the targets, idle and other.
 */
#ifndef PM_BOOKS_ACCOUNT_SHARE_H
#define PM_BOOKS_ACCOUNT_SHARE_H

#include "books/account_state.h"

/* Shares the energy between the domain's point and a new one out, among the targets that are
 * present; then that is the point. */
void account_advance(struct account *a, size_t d, const struct point *now, unsigned flags);

/* What waits for a look that will not come goes to other. */
void account_drop_held(struct domain_book *b);

/* A target's part of what waits, and what idled of it, by the last look. */
uint64_t account_held_of(const struct domain_book *b, const struct target_book *t);
uint64_t account_held_idle(const struct account *a, const struct domain_book *b);

/* Moves what short slices left over into idle and other. */
void account_settle(struct domain_book *b);

#endif
