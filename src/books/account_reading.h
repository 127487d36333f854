// SPDX-License-Identifier: MIT
#ifndef PM_BOOKS_ACCOUNT_READING_H
#define PM_BOOKS_ACCOUNT_READING_H

#include "books/account_state.h"

/* Enters a snapshot's reading of one domain; the targets' usages are in. Returns whether it moved the
 * domain's point. */
bool account_enter_reading(struct account *a, const struct snapshot *s, size_t d);

#endif
