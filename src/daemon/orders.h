// SPDX-License-Identifier: MIT
/*
 * What the listener orders from the sampler: a list under a lock that is held for a pointer swap,
 * since a sender may name a thousand pids and no order may be lost.
 */
#ifndef PM_DAEMON_ORDERS_H
#define PM_DAEMON_ORDERS_H

#include <pthread.h>

#include "target/target.h"

enum order_type {
	ORDER_ADD,
	ORDER_KEEP,
	ORDER_DROP,
	ORDER_WANT,
	ORDER_UNTIL,
	ORDER_EDGE,
	ORDER_STOP,
};

struct order {
	enum order_type type;
	uint32_t id;            /* slot, kinds or session */
	uint64_t number;        /* of the edge, or a time */
	struct target *target;  /* ORDER_ADD; owned */
	struct taskclock clock; /* ORDER_KEEP; owned */
};

struct orders {
	struct order *list;
	size_t n;
	size_t cap;
};

struct order_box {
	int fd; /* readable after order_box_ring() */
	pthread_mutex_t lock;
	struct orders posted; /* under the lock */
	struct orders taken;  /* the taker's own */
};

/* Returns 0 or -errno. */
int order_box_init(struct order_box *b);

/* Frees what nobody took, and what came with it. No other thread uses the box any more. Takes one
 * that was not wholly made. */
void order_box_finish(struct order_box *b);

/* Adds an order. If there is no memory for it, what came with it is given back. */
void order_box_post(struct order_box *b, const struct order *order);

/* Wakes whoever takes them. */
void order_box_ring(struct order_box *b);

/* All orders since the last time, for the one thread that takes them; valid until the next call. What
 * came with them is the taker's. */
const struct orders *order_box_take(struct order_box *b);

/* Makes an eventfd readable, and quiet again. */
void eventfd_tell(int fd);
void eventfd_quiet(int fd);

#endif
