// SPDX-License-Identifier: MIT
/*
 * One of the two ends at an engine's bus, kept connected: ZeroMQ tries again and again by itself,
 * and what becomes of it is told. SUB: where events come from. XPUB: where they go; a plain PUB
 * drops what it sends before the other side has subscribed, and cannot tell whether it has.
 */
#ifndef PM_EVENTS_LINK_H
#define PM_EVENTS_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct link {
	void *zmq;
	int type; /* ZMQ_SUB or ZMQ_XPUB */
	const char *address;
	int epoll_fd; /* where its owner waits for it */

	void *socket;
	void *monitor;
	bool up;             /* what is sent arrives, what is published there comes */
	bool given_up;       /* by ZeroMQ: see link_is_stuck() */
	bool greeted;        /* the two know each other's kind */
	uint64_t dialled_ns; /* when the connection was accepted that is not greeted yet; else 0 */
	int n_subscriptions; /* that the other side has */
	unsigned n_lives;    /* how many connections there have been */
};

/* The first six members are the caller's. Returns 0, or -errno; the link is closed then. */
int link_open(struct link *l);

/* Only messages that begin so come. SUB; after each link_open(). */
int link_subscribe(struct link *l, const void *prefix, size_t n);

/* Takes notice of what became of the connection. To be called before `up` is looked at, and after
 * each send: the descriptor in the epoll tells of changes only. */
void link_work(struct link *l);

/* Whether there is still something to take notice of, or to receive. */
bool link_is_readable(const struct link *l);

/* Whether ZeroMQ will not connect again by itself: after a message that is too large, or while a
 * program that does not speak its language has the port. libzmq 4.3.5 waits for such a program for
 * ever if its first bytes can be taken for ZMTP 1.0, as those of an HTTP server can. */
bool link_is_stuck(const struct link *l);

/* Makes it anew, where it is stuck. Returns 0 or -errno. */
int link_mend(struct link *l);

/* What was sent lingers for so long, until ZeroMQ is ended. Takes one that was never opened. */
void link_close(struct link *l, int linger_ms);

#endif
