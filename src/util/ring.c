// SPDX-License-Identifier: MIT
#include "util/ring.h"

#include <errno.h>
#include <stdlib.h>

/* Each block has a header of this size before it. A block never goes over the end of the memory:
 * a header with PAD set fills what is left there. */
struct header {
	_Alignas(16) uint32_t length; /* of the block, without header and rounding */
	uint32_t stride;              /* to the next header */
	uint32_t pad;
};

static size_t rounded(size_t n)
{
	return (n + 15) & ~(size_t) 15;
}

int ring_init(struct ring *r, size_t size, size_t reserve)
{
	size_t power = 4096;

	while (power < size)
		power *= 2;
	*r = (struct ring) { .size = power, .reserve = reserve };
	r->data = aligned_alloc(64, power);
	return r->data ? 0 : -ENOMEM;
}

void ring_finish(struct ring *r)
{
	free(r->data);
	r->data = NULL;
}

static struct header *header_at(const struct ring *r, size_t position)
{
	return (struct header *) (void *) (r->data + (position & (r->size - 1)));
}

void *ring_begin(struct ring *r, size_t n, bool may_use_reserve)
{
	size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	size_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);
	size_t need = sizeof(struct header) + rounded(n);
	size_t to_end = r->size - (head & (r->size - 1));
	size_t pad = need > to_end ? to_end : 0;
	size_t room = r->size - (head - tail);
	struct header *h;

	if (n > UINT32_MAX / 2)
		return NULL;
	if (pad + need + (may_use_reserve ? 0 : r->reserve) > room)
		return NULL;
	if (pad) {
		h = header_at(r, head);
		*h = (struct header) { .stride = (uint32_t) pad, .pad = 1 };
	}
	r->pending = pad;
	h = header_at(r, head + pad);
	*h = (struct header) { .length = (uint32_t) n, .stride = (uint32_t) need };
	return h + 1;
}

void ring_commit(struct ring *r, size_t n)
{
	size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	struct header *h = header_at(r, head + r->pending);

	h->length = (uint32_t) n;
	h->stride = (uint32_t) (sizeof(*h) + rounded(n));
	atomic_store_explicit(&r->head, head + r->pending + h->stride, memory_order_release);
	r->pending = 0;
}

void *ring_peek(struct ring *r, size_t *ret_n)
{
	size_t head = atomic_load_explicit(&r->head, memory_order_acquire);
	size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	struct header *h;

	if (head == tail)
		return NULL;
	h = header_at(r, tail);
	if (h->pad) {
		tail += h->stride;
		atomic_store_explicit(&r->tail, tail, memory_order_release);
		if (head == tail)
			return NULL;
		h = header_at(r, tail);
	}
	if (ret_n)
		*ret_n = h->length;
	return h + 1;
}

void ring_pop(struct ring *r)
{
	size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	atomic_store_explicit(&r->tail, tail + header_at(r, tail)->stride, memory_order_release);
}
