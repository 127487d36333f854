// SPDX-License-Identifier: MIT
/*
 * A queue of blocks of bytes from one thread to one other, without locks and without allocation
 * after ring_init(). Memory is touched only as the queue fills.
 *
 * Part of the room is a reserve: only blocks that must not be lost may use it.
 */
#ifndef PM_UTIL_RING_H
#define PM_UTIL_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring {
	char *data;
	size_t size;         /* a power of two */
	size_t reserve;      /* bytes that ordinary blocks leave free */
	_Atomic size_t head; /* bytes ever written; the producer's */
	_Atomic size_t tail; /* bytes ever taken; the consumer's */
	size_t pending;      /* of the block being written, with its header */
};

/* size is rounded up to a power of two. Returns 0 or -ENOMEM. */
int ring_init(struct ring *r, size_t size, size_t reserve);
void ring_finish(struct ring *r);

/* Producer: room for a block of n bytes, aligned for any type, or NULL if it does not fit (for an
 * ordinary block: without using the reserve). Nothing is visible before ring_commit(), which may
 * make the block smaller. A second call before ring_commit() takes the first one back. */
void *ring_begin(struct ring *r, size_t n, bool may_use_reserve);
void ring_commit(struct ring *r, size_t n);

/* Consumer: the oldest block, or NULL; it stays valid until ring_pop(). */
void *ring_peek(struct ring *r, size_t *ret_n);
void ring_pop(struct ring *r);

#endif
