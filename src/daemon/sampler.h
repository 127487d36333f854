// SPDX-License-Identifier: MIT
/*
 * The sampling thread. It alone reads targets and sensors: on a grid of ticks, at the times that
 * sessions end, when a process ends, and when it is asked to. It hands snapshots to the listener
 * through a queue that neither side waits for.
 */
#ifndef PM_DAEMON_SAMPLER_H
#define PM_DAEMON_SAMPLER_H

#include "session/session.h"
#include "books/snapshot.h"

struct sampler;

struct sampler_options {
	struct host *host; /* the sampler's own while it runs, but for its clock */
	struct rig *rig;   /* likewise */
	uint64_t period_ns[KIND_COUNT];
	bool wants_idle; /* see struct series */
};

/* Starts the thread. Returns 0 or -errno. */
int sampler_create(struct sampler **ret, const struct sampler_options *options);

/* Orders, in the listener's thread; see struct session_sampling. */
void sampler_add(struct sampler *s, struct target *t);
void sampler_keep(struct sampler *s, uint32_t slot, struct taskclock clock);
void sampler_drop(struct sampler *s, uint32_t slot);
void sampler_want(struct sampler *s, uint32_t kinds);
void sampler_until(struct sampler *s, uint32_t id, uint64_t t_ns);
uint64_t sampler_edge(struct sampler *s);

/* Tells when there are snapshots, to an edge-triggered epoll: it is never read. */
int sampler_fd(const struct sampler *s);

/* The oldest snapshot, or NULL; valid until sampler_done() is called for it. After sampler_fd()
 * told, to be called until it is NULL. */
struct snapshot *sampler_next(struct sampler *s);
void sampler_done(struct sampler *s);

/* Ticks that were thrown away because the listener did not come. Their energy is in the next. */
uint64_t sampler_lost_ticks(const struct sampler *s);

/* Ends the thread. If it does not come back within timeout_ns, because a read hangs, it is left
 * behind with everything it uses, and false is returned. */
bool sampler_destroy(struct sampler *s, uint64_t timeout_ns);

#endif
