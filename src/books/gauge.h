// SPDX-License-Identifier: MIT
/*
 * The engine without threads: whoever holds a gauge says when everything is read, and asks the
 * books what was used between two readings. For a command, a region of code, a library; the plugin
 * has its sampler and its sessions instead.
 *
 * One thread uses a gauge.
 */
#ifndef PM_BOOKS_GAUGE_H
#define PM_BOOKS_GAUGE_H

#include "books/account.h"
#include "meter/rig.h"
#include "target/target.h"

/* As many targets as one gauge takes. */
#define GAUGE_MAX_TARGETS 4096

struct gauge;

struct gauge_options {
	uint32_t kinds; /* KIND_BITs of what is read; others are not known */
	enum idle_policy idle;
	const struct account_watcher *watcher; /* of what goes wrong; NULL: nobody */
};

/* host and rig must live as long as the gauge. Returns 0 or -ENOMEM. */
int gauge_create(
	struct gauge **ret, struct host *host, struct rig *rig, const struct gauge_options *o);

/* Closes the targets that are left. Takes NULL. */
void gauge_destroy(struct gauge *g);

/* Adds an opened target, whose contents go over to the gauge; its books begin with the next
 * reading. Returns 0 and the target's slot, -E2BIG or -ENOMEM (the target stays the caller's). */
int gauge_add(struct gauge *g, struct target *t, uint32_t *ret_slot);
void gauge_drop(struct gauge *g, uint32_t slot);

/* The target in a slot: its name, and a descriptor that tells its end. Valid until the next
 * gauge_add() or gauge_drop(). */
struct target *gauge_target(const struct gauge *g, uint32_t slot);

/* Whether the target's end was seen by a reading. */
bool gauge_has_ended(const struct gauge *g, uint32_t slot);

/* Reads everything now. The time of that reading is gauge_t_ns(). No allocation. */
void gauge_read(struct gauge *g);
uint64_t gauge_t_ns(const struct gauge *g);

/* Whether every sensor had something to tell at that reading: one that is read in a thread of its
 * own may need a moment at first. */
bool gauge_is_ready(const struct gauge *g);

/* CPU time that the machine could have given since the first reading. */
uint64_t gauge_capacity_ns(const struct gauge *g);

/* Idle CPU time of the machine, cumulative; in steps of 10 ms. */
uint64_t gauge_idle_ns(const struct gauge *g);

/* The books, for marks and questions. */
const struct account *gauge_account(const struct gauge *g);

#endif
