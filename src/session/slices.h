// SPDX-License-Identifier: MIT
/*
 * Slices of the books as records: the lines of the detailed record (docs/record.md).
 */
#ifndef PM_SESSION_SLICES_H
#define PM_SESSION_SLICES_H

#include "books/account.h"
#include "session/record.h"

struct slice_owner {
	const struct domain *const *domains;
	size_t n_domains;
	enum idle_policy idle;
	int64_t wall_offset_ns; /* wall time less monotonic time */
	/* Who a target is. */
	void (*name)(void *ctx, uint32_t slot, pid_t *ret_pid, const char **ret_name);
	void (*record)(void *ctx, const struct record *r);
	void *ctx;
};

/* By which rule a part was given. */
const char *slice_rule(
	const struct slice_owner *o, enum slice_who who, enum kind kind, bool by_use);

/* One record for each part. */
void slice_write(const struct slice_owner *o, const struct slice *slice);

#endif
