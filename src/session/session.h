// SPDX-License-Identifier: MIT
/*
 * Requests and what becomes of them. Turns events into sessions, sessions into targets that are
 * sampled, and snapshots into lines and totals.
 *
 * Several sessions may want the same process: it is then sampled and logged once. Lines belong to
 * targets, totals to sessions.
 *
 * Everything here runs in one thread; the sampling itself is somebody else's, asked for through
 * struct session_sampling and answered by session_enter().
 */
#ifndef PM_SESSION_SESSION_H
#define PM_SESSION_SESSION_H

#include "books/account.h"
#include "phases/phase_channel.h"
#include "session/record.h"
#include "session/request.h"
#include "target/target.h"

#define SESSIONS_MAX 1024
/* A burst leaves room for others, also where it comes over a new connection each time. */
#define SESSIONS_PER_SENDER_MAX 256 /* of one connection */
#define SESSIONS_PER_PROCESS_MAX 256
#define SESSION_TARGETS_MAX 4096
#define SESSION_LINES_PER_S_MAX 10000

/* Orders to whoever samples. They are carried out one after the other; edge() says how many were
 * given so far, and a snapshot tells in its `ordinal` how many it has behind it. */
struct session_sampling {
	/* Reads this target in each snapshot from now on. Ownership goes over. */
	void (*add)(void *ctx, struct target *t);
	/* Hands a target the clock that keeps its last CPU time. Ownership goes over. */
	void (*keep)(void *ctx, uint32_t slot, struct taskclock clock);
	/* Closes and frees the target with that slot. */
	void (*drop)(void *ctx, uint32_t slot);
	/* Reads these kinds from now on; 0: nothing, and no ticks. */
	void (*want)(void *ctx, uint32_t kinds);
	/* Takes a snapshot at that time; 0 takes an earlier such order back. id is the session's. */
	void (*until)(void *ctx, uint32_t id, uint64_t t_ns);
	/* Takes a snapshot now. */
	uint64_t (*edge)(void *ctx);
};

enum session_severity { SESSION_INFO, SESSION_WARNING, SESSION_ERROR };

struct session_hooks {
	struct session_sampling sampling;
	void (*record)(void *ctx, const struct record *r);
	void (*say)(void *ctx, enum session_severity severity, const char *text);
	void *ctx; /* of all of them */
};

struct session_options {
	const struct clock *clock;
	const struct domain *const *domains;
	size_t n_domains;
	uint64_t period_ns[KIND_COUNT]; /* between lines */
	struct account_options account;
	bool details;                 /* whether RECORD_DETAIL records are wanted */
	struct phase_channel *phases; /* where processes mark phases; NULL: nowhere */
	bool trees;                   /* a pid stands for all its descendants, too */
	unsigned max_kept_threads;    /* perf clocks, for all targets together */
};

struct session_set;

/* Everything in options is copied but what it points to. Returns 0 or -ENOMEM. */
int session_set_create(struct session_set **ret, const struct session_options *options,
	const struct session_hooks *hooks);
void session_set_destroy(struct session_set *ss);

/* Takes an REQUEST_START. Returns 0 and how many processes will be measured; or -errno with the
 * reason if nothing of it can be done. Pids that cannot be measured beside good ones are only
 * said. */
int session_set_start(struct session_set *ss, const struct request *request, size_t *ret_n_accepted,
	char *ret_why, size_t n);

/* Ends these pids in all their sessions. Those that nobody measures are no error. */
void session_set_stop(struct session_set *ss, const int32_t *pids, size_t n_pids);

/* Ends everything, scheduled sessions too; why is told in the reports. */
void session_set_stop_all(struct session_set *ss, enum session_ending why);

/* The earliest time that a session is scheduled for, in wall-clock nanoseconds; false: none. */
bool session_set_next_start(const struct session_set *ss, int64_t *ret_wall_ns);

/* Begins the sessions whose time has come. */
void session_set_begin_due(struct session_set *ss);

/* Takes a snapshot: writes lines, begins and ends sessions. The block is changed. */
void session_set_enter(struct session_set *ss, struct snapshot *s);

/* Ends everything at once with what the books have: for a sampler that does not answer. */
void session_set_abandon(struct session_set *ss, enum session_ending why);

/* Sessions that are being measured or about to be; scheduled ones do not count. */
size_t session_set_active(const struct session_set *ss);

#endif
