// SPDX-License-Identifier: MIT
/*
 * The books: takes snapshots one after the other and keeps, for each domain and each target, the
 * energy so far. Any question ("this target since then") is a difference of two states of the
 * books, so that intervals add up however they are cut.
 *
 * A domain's energy between two of its readings is shared out by the CPU time that the targets
 * used meanwhile (books/share.h), at once and exactly; where its sensor tells who used it, as
 * for a GPU, by that, and then at each of the sensor's looks. A reading that failed only makes the
 * next interval longer. A counter that restarted leaves a hole of which nothing is known: no
 * energy is reported for it, and figures over it are flagged FLAG_RESET.
 */
#ifndef PM_BOOKS_ACCOUNT_H
#define PM_BOOKS_ACCOUNT_H

#include "books/interval.h"
#include "books/share.h"
#include "books/snapshot.h"

/* A domain whose readings fail for this long is lost: sums go on without it until it is back. */
#define ACCOUNT_LOST_NS UINT64_C(5000000000)

/* Below this, idle and other are not told apart: the machine's idle time moves in steps of 10 ms,
 * and CPU clocks are as fresh as the kernel's last tick only. */
#define ACCOUNT_SETTLE_NS UINT64_C(250000000)

#define ACCOUNT_NO_SLOT UINT32_MAX

/* Part of a slice: who got it. */
enum slice_who {
	SLICE_TARGET,
	SLICE_IDLE,
	SLICE_OTHER, /* what nobody who is known used */
	SLICE_REST,  /* idle and other together, where the interval is too short to tell */
};

struct slice_part {
	enum slice_who who;
	uint32_t slot; /* of a target */
	struct energy energy;
	unsigned flags;
};

/* One domain's energy between two of its readings, cut into parts that add up to it. */
struct slice {
	size_t domain;
	struct interval interval;
	bool by_use;                    /* shared out by who used it, as the sensor tells */
	const struct slice_part *parts; /* valid during the call */
	size_t n_parts;
};

/* What the books tell while a snapshot is entered. Every member may be NULL. */
struct account_watcher {
	void (*slice)(void *ctx, const struct slice *slice);
	/* A domain's readings begin to fail, its counter restarted, it is lost, it is back. */
	void (*failing)(void *ctx, size_t domain, int error);
	void (*restarted)(void *ctx, size_t domain);
	void (*lost)(void *ctx, size_t domain);
	void (*recovered)(void *ctx, size_t domain, uint64_t gap_ns);
	/* The sensor says, for the first time, FLAG_DISPUTED. */
	void (*disputed)(void *ctx, size_t domain);
	void *ctx;
};

struct account_options {
	enum idle_policy idle;
	uint64_t tick_ns; /* how stale a CPU clock may be */
};

struct account;
struct account_mark; /* a state of the books that later ones are compared with */

/* domains[0 .. n_domains) must live as long as the books. Returns 0 or -ENOMEM. */
int account_create(struct account **ret, const struct domain *const *domains, size_t n_domains,
	const struct account_options *options, const struct account_watcher *watcher);
void account_destroy(struct account *a);

/* Makes room for a target; its books begin with the first snapshot that has it. -ENOMEM. */
int account_add_target(struct account *a, uint32_t slot);
void account_drop_target(struct account *a, uint32_t slot);

/* Enters a snapshot. */
void account_enter(struct account *a, const struct snapshot *s);

/* Shares out what waits for a sensor's next look at who uses its domains by the last one. Before the
 * end of a session; else it is done at each look. */
void account_settle_uses(struct account *a);

/* Who used a device is looked at once a second: over less than two looks its parts are not known. */
#define ACCOUNT_USE_NS UINT64_C(2000000000)

/* Whether the kind's energy is shared out: all its counted domains go by CPU time, or their sensors
 * tell who used them. */
bool account_shares(const struct account *a, enum kind kind);

/* The state after the last snapshot, for the machine (ACCOUNT_NO_SLOT) or with a target. Free
 * with account_mark_free(). NULL if there is no memory. */
struct account_mark *account_mark_new(const struct account *a, uint32_t slot);
void account_mark_free(struct account_mark *m);
/* Makes an existing mark, of the same slot, the present state. */
void account_mark_renew(const struct account *a, struct account_mark *m);

/* What a target got, or what the domains used, of one kind since a mark. */
struct span {
	bool known;   /* false: the kind has no domain that was read twice since the mark */
	bool fresh;   /* every domain that is not lost was read by the last snapshot */
	bool partial; /* of some of the time no energy is known: it is the least that was used */
	bool failing; /* it cannot be read at present, but may come back and tell of all of the time */
	uint64_t
		doubt_ns; /* how much longer or shorter than interval_ns the energy's time may be */
	bool lacking;     /* a sum: a domain of it is not known at all */
	uint64_t asked_ns;    /* since the mark, ... */
	uint64_t covered_ns;  /* ... and for how much of it energy is known */
	uint64_t interval_ns; /* between the readings that the energy lies between, without holes */
	struct energy energy;
	uint64_t power_uw; /* each domain's energy over its own readings' time, added up */
	unsigned flags;
};

/* slot: a target's, as in the mark, or ACCOUNT_NO_SLOT for the whole of the domains. Only counted
 * domains are added up. */
void account_since(const struct account *a, const struct account_mark *m, uint32_t slot,
	enum kind kind, struct span *ret);

/* The same for one domain, counted or not. */
void account_domain_since(const struct account *a, const struct account_mark *m, uint32_t slot,
	size_t domain, struct span *ret);

/* As account_since(ACCOUNT_NO_SLOT), but for the time between the two snapshots rather than
 * between the readings: where a sensor tells power beside energy, what was used between a reading
 * and its snapshot is put in. For whole sessions over slow sensors. */
void account_total_since(
	const struct account *a, const struct account_mark *m, enum kind kind, struct span *ret);

/* The same for one domain, counted or not. */
void account_domain_total_since(
	const struct account *a, const struct account_mark *m, size_t domain, struct span *ret);

/* Where the books of one domain stand, for whoever keeps a series of it: cumulative. */
struct account_stand {
	uint64_t t_ns; /* of the last reading, and within what */
	uint64_t t_err_ns;
	uint64_t whole_uj;
	uint64_t capacity_ns;
	uint64_t target_uj; /* the target's part ... */
	uint64_t shared_ns; /* ... of what was used until then; 0: nobody has a part of it */
	uint64_t cpu_ns;    /* the target's CPU time at the last reading */
	uint32_t holes;     /* times of which nothing is known, so far */
	uint32_t gaps;      /* readings that failed */
};

/* Returns whether the domain was read; slot may be ACCOUNT_NO_SLOT. */
bool account_stand(
	const struct account *a, uint32_t slot, size_t domain, struct account_stand *ret);

/* CPU time of a target since the mark. */
uint64_t account_cpu_since(const struct account *a, const struct account_mark *m, uint32_t slot);

/* Idle and other energy of a kind since the mark. Over less than ACCOUNT_SETTLE_NS they may be off
 * by what the two cannot be told apart by, also in their sum. */
void account_rest_since(const struct account *a, const struct account_mark *m, enum kind kind,
	uint64_t *ret_idle_uj, uint64_t *ret_other_uj);

#endif
