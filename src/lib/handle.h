// SPDX-License-Identifier: MIT
/*
 * What is behind a handle. Everything here stays inside: the version script lets out only what
 * powermeasure.h has.
 */
#ifndef PM_LIB_HANDLE_H
#define PM_LIB_HANDLE_H

#include <powermeasure.h>

#include <pthread.h>
#include <stdbool.h>

#include "books/gauge.h"

/* A struct of the caller's that claims to be larger than this was not initialised. */
#define PM_STRUCT_MAX 4096

/* Where somebody's figures begin: a state of the books, and of the machine's CPU time. */
struct edge {
	int who;
	uint32_t slot; /* ACCOUNT_NO_SLOT for the machine */
	struct account_mark *mark;
	uint64_t t_ns;
	uint64_t capacity_ns;
	uint64_t idle_ns;
};

struct window {
	struct window *next;
	char *key;
	size_t n_edges;
	struct edge edges[];
};

/* What sensors borrow. A driver's thread that was left behind may use it to the process's end, so
 * it is apart from the handle. */
struct ground;

/* What is read: all of it is made anew when polling begins. */
struct meter {
	struct rig *rig;
	struct gauge *gauge;
	struct edge base[2 + PM_MAX_PROCESSES]; /* the machine, the process itself, and others */
	size_t n_base;
};

struct pm {
	pthread_mutex_t lock;
	pid_t owner;
	const struct clock *clock;
	struct ground *ground;
	struct meter *meter;
	uint32_t kinds;
	int next_who;
	struct window *windows; /* the newest first */
	size_t n_windows;

	bool polls;
	bool has_keeper;
	pthread_t keeper;
	pthread_cond_t changed;
	bool stop;
};

/* As pm_open(), on a clock of the caller's: for tests. */
int pm_open_on(struct pm **ret, const struct pm_options *o, const struct clock *clock);

/* Locks the handle, or refuses: NULL (-EINVAL), a child of the process that opened it (-EPERM). */
int pm_enter(struct pm *pm);
void pm_leave(struct pm *pm);

/* Keeps the reason for pm_error() and returns error. */
__attribute__((format(printf, 2, 3))) int pm_fail(int error, const char *format, ...);

/* Fills a struct that begins with the size its caller knows. Returns 0 or -EINVAL. */
int pm_give(void *ret, const void *from, size_t size);

/* Makes marks for the edges, as copies of those given; the reading comes later. Returns 0 or
 * -ENOMEM, then nothing is left. */
int pm_edges_make(const struct meter *m, const struct edge *from, size_t n, struct edge *ret);
/* The edges are now: after a reading. */
void pm_edges_set(const struct meter *m, struct edge *edges, size_t n);
void pm_edges_finish(struct edge *edges, size_t n);

/* Results: made before the reading, so that nothing can fail after it. */
struct pm_result *pm_result_new(const struct pm *pm, size_t n_edges);
void pm_result_fill(
	struct pm_result *result, const struct pm *pm, const struct edge *edges, size_t n_edges);

#endif
