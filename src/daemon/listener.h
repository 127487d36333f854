// SPDX-License-Identifier: MIT
/*
 * The listener: the thread that takes events, keeps sessions, and writes the log. It sleeps in
 * one epoll_wait() until something happens.
 */
#ifndef PM_DAEMON_LISTENER_H
#define PM_DAEMON_LISTENER_H

#include "session/session.h"
#include "daemon/plugin.h"
#include "daemon/sampler.h"
#include "sinks/sink.h"

struct listener;

struct listener_options {
	const struct plugin_config *config;
	const struct clock *clock;
	const struct domain *const *domains;
	size_t n_domains;
	uint64_t tick_ns;             /* the kernel's, see struct host */
	struct sampler *sampler;      /* borrowed, like everything here */
	struct phase_channel *phases; /* NULL: none */
	struct sink *sinks;
	size_t n_sinks;
	int *lock_fd;  /* the log directory's lock */
	int signal_fd; /* a signalfd for SIGTERM, SIGINT and SIGHUP */
};

/* Returns 0, or -errno with the reason in words in ret_why. */
int listener_create(struct listener **ret, const struct listener_options *options, char *ret_why,
	size_t why_size);

/* Works until a signal or a terminate event; then ends all sessions and flushes the sinks, which get
 * no further record. */
void listener_run(struct listener *l);

/* Says goodbye on the bus. */
void listener_leave(struct listener *l);

void listener_destroy(struct listener *l);

#endif
