// SPDX-License-Identifier: MIT
/*
 * What the books hold, for books/account*.c alone.
 *
 *   account.c          making the books; entering a snapshot
 *   account_reading.c  what one reading does to a domain's book
 *   account_share.c    one domain's energy between two readings, shared out
 *   account_since.c    marks, and what was used since
 *   account_range.c    how sure all that is
 */
#ifndef PM_BOOKS_ACCOUNT_STATE_H
#define PM_BOOKS_ACCOUNT_STATE_H

#include <stddef.h>

#include "books/account.h"
#include "meter/power.h"

/* Where a domain's counting stands, and the machine's CPU time then. */
struct point {
	uint64_t t_ns;
	uint64_t t_err_ns;
	uint64_t stale_ns;  /* how old its value may be */
	uint64_t energy_uj; /* of the epoch since_ns */
	uint64_t since_ns;
	uint64_t power_mw;
	uint64_t capacity_ns;
	uint64_t idle_ns;
	uint64_t looked_ns; /* who used the domain is known up to then; 0: it is not */
	uint32_t busy_ppm;
};

/* What was taken together from slices too short to settle. */
struct pending {
	struct share_interval shared;
	uint64_t rest_uj;
	uint64_t ns;
};

/* Whether a domain is being counted (the transitions: account_reading.c). */
enum book_state {
	BOOK_NONE,     /* no reading yet; the point is a snapshot */
	BOOK_AWAITED,  /* the sensor said that its first reading will come; the same */
	BOOK_COUNTING, /* the point is a reading */
};

/* Whether a domain can be read. */
enum book_health {
	HEALTH_OK,
	HEALTH_FAILING, /* since failing_since_ns */
	HEALTH_LOST,    /* for ACCOUNT_LOST_NS: sums go on without it */
};

struct domain_book {
	const struct domain *domain;
	size_t column; /* of the targets' used_ppm, where it has tells_users */
	bool by_use;   /* the last reading came with a look: energy goes by use */
	uint64_t looked_ns;
	uint32_t busy_ppm;
	struct interval held; /* what waits for the next look at who used it */
	enum book_state state;
	enum book_health health;
	uint64_t failing_since_ns; /* unless the health is OK */
	bool fresh;                /* the last snapshot moved the point */
	struct point point;
	uint64_t total_uj; /* over all epochs */
	uint64_t idle_uj;
	uint64_t other_uj;
	struct pending pending;
	uint64_t peak_mw;
	uint64_t begin_ns; /* when counting began: before the first hole, if there are some */
	uint64_t begin_mw; /* power then; 0: not told */
	uint64_t most_mw;  /* the highest power that was told at all */
	uint32_t resets;
	uint64_t hole_ns; /* time before resets of which no energy is known */
	uint32_t gaps;
	bool disputed; /* the sensor said FLAG_DISPUTED: from then on */
};

/* One target's side of one domain. */
struct target_book {
	uint64_t base_cpu_ns; /* the target's CPU time when the domain's point was made */
	struct share_target share;
	uint64_t total_uj;
	uint32_t used_ppm; /* its part of the domain at the last look */
};

struct account_target {
	bool begun; /* a snapshot had it */
	uint64_t cpu_ns;
	unsigned flags; /* USAGE_* */
	uint64_t tail_ns;
	struct target_book books[]; /* one a domain */
};

struct account {
	size_t n_domains;
	struct account_options options;
	struct account_watcher watcher;
	struct domain_book *books;
	struct account_target **targets; /* by slot; NULL: none */
	uint32_t n_slots;
	uint64_t t_ns; /* of the last snapshot */
	uint32_t n_cpu;
	uint64_t missed_ticks;

	/* Of the snapshot that is being entered: which targets it has, ... */
	uint32_t *slots;
	uint32_t n_present;
	/* ... and scratch, as large as the targets' number. */
	struct share_target *shares;
	struct slice_part *parts;
};

/* NULL: there is none. */
static inline struct account_target *account_target_of(const struct account *a, uint32_t slot)
{
	return slot < a->n_slots ? a->targets[slot] : NULL;
}

static inline unsigned account_target_flags(const struct account_target *t)
{
	return t->flags & USAGE_TAIL ? FLAG_TAIL : 0;
}

#endif
