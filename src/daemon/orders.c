// SPDX-License-Identifier: MIT
#include "daemon/orders.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/grow.h"

void eventfd_tell(int fd)
{
	uint64_t one = 1;
	ssize_t n;

	/* It can only fail when the counter is full, and then the other side is awake. */
	do
		n = write(fd, &one, sizeof(one));
	while (n < 0 && errno == EINTR);
}

void eventfd_quiet(int fd)
{
	uint64_t count;
	ssize_t n;

	do
		n = read(fd, &count, sizeof(count));
	while (n < 0 && errno == EINTR);
}

/* Gives back what came with an order that nobody carries out. */
static void free_order(const struct order *order)
{
	struct taskclock clock = order->clock;

	if (order->target) {
		target_close(order->target);
		free(order->target);
	}
	taskclock_finish(&clock);
}

int order_box_init(struct order_box *b)
{
	*b = (struct order_box) { .fd = -1 };
	pthread_mutex_init(&b->lock, NULL);
	b->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return b->fd < 0 ? -errno : 0;
}

void order_box_finish(struct order_box *b)
{
	for (size_t i = 0; i < b->posted.n; i++)
		free_order(&b->posted.list[i]);
	free(b->posted.list);
	free(b->taken.list);
	close_fd(&b->fd);
	pthread_mutex_destroy(&b->lock);
}

static bool append(struct orders *o, const struct order *order)
{
	struct order *list = grow_list(o->list, o->n, &o->cap, sizeof(*list));

	if (!list)
		return false;
	o->list = list;
	o->list[o->n++] = *order;
	return true;
}

void order_box_post(struct order_box *b, const struct order *order)
{
	bool ok;

	pthread_mutex_lock(&b->lock);
	ok = append(&b->posted, order);
	pthread_mutex_unlock(&b->lock);
	if (!ok)
		free_order(order);
}

void order_box_ring(struct order_box *b)
{
	eventfd_tell(b->fd);
}

const struct orders *order_box_take(struct order_box *b)
{
	struct orders empty = b->taken;

	empty.n = 0;
	pthread_mutex_lock(&b->lock);
	b->taken = b->posted;
	b->posted = empty;
	pthread_mutex_unlock(&b->lock);
	return &b->taken;
}
