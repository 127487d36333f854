// SPDX-License-Identifier: MIT
/* What books told in slices, checked and added up. */
#ifndef PM_TEST_SUMS_H
#define PM_TEST_SUMS_H

#include "books/account.h"
#include "machine.h"

struct sums {
	uint64_t seed, number; /* what repeats it, told with a failure */
	uint64_t targets_uj[MACHINE_TARGETS][MACHINE_DOMAINS];
	uint64_t total_uj[MACHINE_DOMAINS];
	uint64_t ns[MACHINE_DOMAINS];
};

/* For struct account_watcher, the context being a struct sums. The test fails where a slice's parts do
 * not add up to it, or where a range does not have its figure in it. */
void sums_slice(void *ctx, const struct slice *slice);

#endif
