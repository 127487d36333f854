// SPDX-License-Identifier: MIT
#include "daemon/sampler.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "daemon/orders.h"
#include "daemon/timetable.h"
#include "util/cleanup.h"
#include "util/grow.h"
#include "util/ring.h"
#include "util/thread.h"
#include "util/timer.h"

/* Over two seconds of one process at 1 kHz: what a slow disk may keep the listener for. */
#define RING_BYTES (2 * 1024 * 1024)
#define RING_RESERVE (RING_BYTES / 4)

/* The listener is woken this often at most, but at once for edges. */
#define WAKE_EVERY_NS (100 * NS_PER_MS)

/* When even the reserve is full: how soon an edge is tried again. */
#define RETRY_NS (5 * NS_PER_MS)

struct sampler {
	struct sampler_options options;
	pthread_t thread;
	struct order_box orders; /* listener to sampler */
	int snapshot_fd;         /* sampler to listener */
	struct ring ring;
	_Atomic uint64_t lost_ticks;

	pthread_mutex_t lock;
	pthread_cond_t done_cond;
	bool done; /* under the lock */

	uint64_t edges_ordered; /* the listener's own */

	/* The thread's own: */
	struct series series;
	int epoll_fd;
	int timer_fd;
	uint64_t armed_ns;
	bool fired; /* the timer went off and was not set again yet */
	struct target **targets;
	size_t n_targets;
	size_t cap_targets;
	struct deadlines deadlines;
	uint32_t kinds;
	uint64_t ordinal;
	struct grid grid;
	uint32_t missed; /* ticks that no snapshot stands for, to be told with the next */
	uint64_t last_wake_ns;
	bool edge_owed;
	bool stop;
};

/* What epoll tells apart; everything else is a target. */
static char token_orders, token_timer;

/* ---- the listener's side ---------------------------------------------------------------- */

static void give_order(struct sampler *s, const struct order *order)
{
	order_box_post(&s->orders, order);
	order_box_ring(&s->orders);
}

/* Its session orders an edge next: that wakes the sampler soon enough. */
void sampler_add(struct sampler *s, struct target *t)
{
	order_box_post(&s->orders, &(struct order) { .type = ORDER_ADD, .target = t });
}

void sampler_keep(struct sampler *s, uint32_t slot, struct taskclock clock)
{
	give_order(s, &(struct order) { .type = ORDER_KEEP, .id = slot, .clock = clock });
}

void sampler_drop(struct sampler *s, uint32_t slot)
{
	give_order(s, &(struct order) { .type = ORDER_DROP, .id = slot });
}

void sampler_want(struct sampler *s, uint32_t kinds)
{
	give_order(s, &(struct order) { .type = ORDER_WANT, .id = kinds });
}

void sampler_until(struct sampler *s, uint32_t id, uint64_t t_ns)
{
	give_order(s, &(struct order) { .type = ORDER_UNTIL, .id = id, .number = t_ns });
}

uint64_t sampler_edge(struct sampler *s)
{
	give_order(s, &(struct order) { .type = ORDER_EDGE, .number = ++s->edges_ordered });
	return s->edges_ordered;
}

int sampler_fd(const struct sampler *s)
{
	return s->snapshot_fd;
}

struct snapshot *sampler_next(struct sampler *s)
{
	return ring_peek(&s->ring, NULL);
}

void sampler_done(struct sampler *s)
{
	ring_pop(&s->ring);
}

uint64_t sampler_lost_ticks(const struct sampler *s)
{
	return atomic_load_explicit(&s->lost_ticks, memory_order_relaxed);
}

/* ---- the thread: orders ----------------------------------------------------------------- */

static void close_target(struct sampler *s, struct target *t)
{
	if (t->exit_fd >= 0)
		epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, t->exit_fd, NULL);
	target_close(t);
	free(t);
}

static void carry_out_add(struct sampler *s, struct target *t)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = t };
	struct target **list = grow_list(
		s->targets, s->n_targets, &s->cap_targets, sizeof(struct target *));

	if (!list) {
		close_target(s, t);
		return;
	}
	s->targets = list;
	s->targets[s->n_targets++] = t;
	/* Without it the target's end is noticed at the next tick. */
	if (t->exit_fd >= 0 && epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, t->exit_fd, &event) < 0)
		close_fd(&t->exit_fd);
}

static void carry_out_keep(struct sampler *s, uint32_t slot, struct taskclock clock)
{
	for (size_t i = 0; i < s->n_targets; i++) {
		if (s->targets[i]->slot == slot) {
			target_keep(s->targets[i], clock);
			return;
		}
	}
	taskclock_finish(&clock);
}

static void carry_out_drop(struct sampler *s, uint32_t slot)
{
	for (size_t i = 0; i < s->n_targets; i++) {
		if (s->targets[i]->slot != slot)
			continue;
		close_target(s, s->targets[i]);
		s->targets[i] = s->targets[--s->n_targets];
		return;
	}
}

static void carry_out_want(struct sampler *s, uint32_t kinds)
{
	s->kinds = kinds;
	series_want(&s->series, kinds);
	if (kinds == 0) {
		s->grid.next_ns = 0;
		s->missed = 0;
	}
}

static void carry_out_orders(struct sampler *s)
{
	const struct orders *taken = order_box_take(&s->orders);

	for (size_t i = 0; i < taken->n; i++) {
		const struct order *o = &taken->list[i];

		switch (o->type) {
		case ORDER_ADD:
			carry_out_add(s, o->target);
			break;
		case ORDER_KEEP:
			carry_out_keep(s, o->id, o->clock);
			break;
		case ORDER_DROP:
			carry_out_drop(s, o->id);
			break;
		case ORDER_WANT:
			carry_out_want(s, o->id);
			break;
		case ORDER_UNTIL:
			/* Without memory for it the session ends with the next tick after it. */
			deadlines_set(&s->deadlines, o->id, o->number);
			break;
		case ORDER_EDGE:
			s->ordinal = o->number;
			s->edge_owed = true;
			break;
		case ORDER_STOP:
			s->stop = true;
			break;
		}
	}
}

/* ---- the thread: time ------------------------------------------------------------------- */

static void arm(struct sampler *s)
{
	uint64_t t_ns = UINT64_MAX;
	struct itimerspec spec = { 0 };

	if (s->kinds && s->grid.next_ns)
		t_ns = s->grid.next_ns;
	if (s->kinds && deadlines_earliest(&s->deadlines) < t_ns)
		t_ns = deadlines_earliest(&s->deadlines);
	if (s->edge_owed)
		t_ns = host_now_ns(s->options.host) + RETRY_NS;
	if (t_ns == s->armed_ns && !s->fired)
		return;
	s->armed_ns = t_ns;
	s->fired = false;
	if (t_ns != UINT64_MAX)
		spec.it_value = ns_to_timespec(t_ns);
	timerfd_settime(s->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

/* Moves to the next tick; what was jumped over is counted. Returns the kinds that are due. */
static uint32_t pass_tick(struct sampler *s, uint64_t now_ns)
{
	uint32_t kinds;
	uint64_t over = grid_pass(&s->grid, now_ns, &kinds);

	s->missed += (uint32_t) (over < UINT32_MAX ? over : UINT32_MAX);
	return kinds & s->kinds;
}

/* ---- the thread: snapshots -------------------------------------------------------------- */

static void wake_listener(struct sampler *s, unsigned flags, uint64_t now_ns)
{
	uint64_t step_ns = s->grid.step_ns;

	if (!(flags & SNAPSHOT_EDGE) && step_ns < WAKE_EVERY_NS &&
		now_ns + step_ns / 2 < s->last_wake_ns + WAKE_EVERY_NS)
		return;
	s->last_wake_ns = now_ns;
	eventfd_tell(s->snapshot_fd);
}

/* ticks: the kinds that are due on the grid. With SNAPSHOT_EDGE all kinds are read. */
static void take(struct sampler *s, uint32_t ticks, unsigned flags)
{
	size_t size = snapshot_size(rig_n_domains(s->options.rig), s->n_targets);
	struct snapshot *snapshot = ring_begin(&s->ring, size, flags & SNAPSHOT_EDGE);

	if (!snapshot) {
		if (flags & SNAPSHOT_EDGE) {
			s->edge_owed = true;
		} else {
			s->missed++;
			atomic_fetch_add_explicit(&s->lost_ticks, 1, memory_order_relaxed);
		}
		eventfd_tell(s->snapshot_fd);
		return;
	}
	snapshot_take(&s->series, flags & SNAPSHOT_EDGE ? s->kinds : ticks, s->targets,
		s->n_targets, flags, snapshot);
	snapshot->ticks = ticks;
	snapshot->ordinal = s->ordinal;
	snapshot->missed_ticks = s->missed;
	s->missed = 0;
	if (flags & SNAPSHOT_EDGE)
		s->edge_owed = false;
	if (s->grid.next_ns == 0 && s->kinds)
		grid_begin(&s->grid, snapshot->t_ns);
	flags = snapshot->flags;
	ring_commit(&s->ring, snapshot->size);
	wake_listener(s, flags, host_now_ns(s->options.host));
}

/* A target that ended is read at once: its parent may take what is left of it any moment. */
static void note_exit(struct sampler *s, struct target *t)
{
	struct usage last;

	t->ops->read_last(t, host_now_ns(s->options.host), &last);
	epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, t->exit_fd, NULL);
	close_fd(&t->exit_fd);
	s->edge_owed = true;
}

static void wait_for_something(struct sampler *s)
{
	struct epoll_event events[32];
	bool orders = false;
	int n = epoll_wait(s->epoll_fd, events, ARRAY_SIZE(events), -1);

	for (int i = 0; i < n; i++) {
		void *who = events[i].data.ptr;

		if (who == &token_orders) {
			eventfd_quiet(s->orders.fd);
			orders = true;
		} else if (who == &token_timer) {
			/* Setting it again makes it quiet: a read is saved in each tick. */
			s->fired = true;
		} else {
			note_exit(s, who);
		}
	}
	/* Last, for they may free targets that the events point to. */
	if (orders)
		carry_out_orders(s);
}

static void *thread_main(void *arg)
{
	struct sampler *s = arg;

	while (!s->stop) {
		uint64_t now_ns;
		uint32_t ticks = 0;

		arm(s);
		wait_for_something(s);
		now_ns = host_now_ns(s->options.host);
		if (s->kinds && s->grid.next_ns && now_ns >= s->grid.next_ns)
			ticks = pass_tick(s, now_ns);
		if (deadlines_pass(&s->deadlines, now_ns))
			s->edge_owed = true;
		if (ticks || s->edge_owed)
			take(s, ticks, s->edge_owed ? SNAPSHOT_EDGE : 0);
	}
	pthread_mutex_lock(&s->lock);
	s->done = true;
	pthread_cond_signal(&s->done_cond);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---- making and freeing ----------------------------------------------------------------- */

static int watch_fd(struct sampler *s, int fd, void *token)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = token };

	return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static void free_all(struct sampler *s)
{
	for (size_t i = 0; i < s->n_targets; i++)
		close_target(s, s->targets[i]);
	close_fd(&s->snapshot_fd);
	close_fd(&s->timer_fd);
	close_fd(&s->epoll_fd);
	order_box_finish(&s->orders);
	free(s->targets);
	deadlines_finish(&s->deadlines);
	ring_finish(&s->ring);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->done_cond);
	free(s);
}

static int open_files(struct sampler *s)
{
	s->snapshot_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->snapshot_fd < 0)
		return -errno;
	s->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (s->timer_fd < 0)
		return -errno;
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return s->epoll_fd < 0 ? -errno : 0;
}

int sampler_create(struct sampler **ret, const struct sampler_options *options)
{
	struct sampler *s = calloc(1, sizeof(*s));
	pthread_condattr_t attr;
	int r;

	if (!s)
		return -ENOMEM;
	s->options = *options;
	s->armed_ns = UINT64_MAX;
	grid_init(&s->grid, options->period_ns);
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->done_cond, &attr);
	pthread_condattr_destroy(&attr);
	s->snapshot_fd = s->timer_fd = s->epoll_fd = -1;
	series_init(&s->series, options->host, options->rig);
	s->series.wants_idle = options->wants_idle;
	r = order_box_init(&s->orders);
	if (r == 0)
		r = ring_init(&s->ring, RING_BYTES, RING_RESERVE);
	if (r == 0)
		r = open_files(s);
	if (r == 0)
		r = watch_fd(s, s->orders.fd, &token_orders);
	if (r == 0)
		r = watch_fd(s, s->timer_fd, &token_timer);
	if (r == 0)
		r = thread_start(&s->thread, thread_main, s, "pm-sampler");
	if (r < 0) {
		free_all(s);
		return r;
	}
	*ret = s;
	return 0;
}

bool sampler_destroy(struct sampler *s, uint64_t timeout_ns)
{
	uint64_t until_ns;
	struct timespec ts;
	bool done;

	if (!s)
		return true;
	give_order(s, &(struct order) { .type = ORDER_STOP });
	until_ns = clock_mono_ns(&clock_system) + timeout_ns;
	ts = ns_to_timespec(until_ns);
	pthread_mutex_lock(&s->lock);
	while (!s->done && pthread_cond_timedwait(&s->done_cond, &s->lock, &ts) == 0)
		;
	done = s->done;
	pthread_mutex_unlock(&s->lock);
	if (!done) {
		pthread_detach(s->thread);
		return false;
	}
	pthread_join(s->thread, NULL);
	free_all(s);
	return true;
}
