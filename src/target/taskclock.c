// SPDX-License-Identifier: MIT
#include "target/taskclock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/dirscan.h"
#include "util/parse.h"

/* Of the bits that follow read_format in struct perf_event_attr. Linux 5.13 brought inherit_thread;
 * older headers have neither the member nor a place to name it. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define INHERIT_THREAD (UINT64_C(1) << 35)
#else
#define INHERIT_THREAD (UINT64_C(1) << (63 - 35))
#endif

struct thread_list {
	pid_t tids[TASKCLOCK_MAX_THREADS];
	unsigned n;
	unsigned max;
};

static int add_thread(const char *name, void *ctx)
{
	struct thread_list *list = ctx;
	uint64_t tid;

	if (parse_u64(name, &tid) < 0)
		return 0;
	if (list->n == list->max)
		return -E2BIG;
	list->tids[list->n++] = (pid_t) tid;
	return 0;
}

static int list_threads(pid_t pid, unsigned max, struct thread_list *ret)
{
	CLEANUP_FD int fd = -1;
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/task", (int) pid);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret->n = 0;
	ret->max = max < TASKCLOCK_MAX_THREADS ? max : TASKCLOCK_MAX_THREADS;
	return dirscan(fd, add_thread, ret);
}

static void set_flag(struct perf_event_attr *attr, uint64_t flag)
{
	char *place = (char *) &attr->read_format + sizeof(attr->read_format);
	uint64_t flags;

	memcpy(&flags, place, sizeof(flags));
	flags |= flag;
	memcpy(place, &flags, sizeof(flags));
}

static int open_event(pid_t tid, bool with_children)
{
	struct perf_event_attr attr = { 0 };
	long fd;

	attr.size = sizeof(attr);
	attr.type = PERF_TYPE_SOFTWARE;
	attr.config = PERF_COUNT_SW_TASK_CLOCK;
	/* The clock counts kernel time all the same; without these ordinary users are refused. */
	attr.exclude_kernel = 1;
	attr.exclude_hv = 1;
	attr.inherit = 1;
	if (!with_children)
		set_flag(&attr, INHERIT_THREAD);
	fd = syscall(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : (int) fd;
}

static int open_all(struct taskclock *t, const struct thread_list *list, bool with_children)
{
	t->fds = calloc(list->n ? list->n : 1, sizeof(*t->fds));
	if (!t->fds)
		return -ENOMEM;
	for (unsigned i = 0; i < list->n; i++) {
		int fd = open_event(list->tids[i], with_children);

		if (fd < 0)
			return fd;
		t->fds[t->n++] = fd;
	}
	return 0;
}

static bool same_threads(const struct thread_list *a, const struct thread_list *b)
{
	return a->n == b->n && memcmp(a->tids, b->tids, a->n * sizeof(a->tids[0])) == 0;
}

static int init(struct taskclock *t, pid_t pid, unsigned max_threads, bool with_children)
{
	struct thread_list before, after;
	int r;

	/* A thread made meanwhile may be counted twice or not at all: then once more. */
	for (int attempt = 0; attempt < 3; attempt++) {
		*t = (struct taskclock) { 0 };
		r = list_threads(pid, max_threads, &before);
		if (r == 0)
			r = open_all(t, &before, with_children);
		if (r == 0)
			r = list_threads(pid, TASKCLOCK_MAX_THREADS, &after);
		if (r == 0 && same_threads(&before, &after))
			return 0;
		taskclock_finish(t);
		if (r < 0)
			return r == -ENOENT ? -ESRCH : r;
	}
	return -EBUSY;
}

int taskclock_init(struct taskclock *t, pid_t pid, unsigned max_threads)
{
	return init(t, pid, max_threads, false);
}

int taskclock_init_tree(struct taskclock *t, pid_t pid, unsigned max_threads)
{
	return init(t, pid, max_threads, true);
}

void taskclock_finish(struct taskclock *t)
{
	for (unsigned i = 0; i < t->n; i++)
		close(t->fds[i]);
	free(t->fds);
	*t = (struct taskclock) { 0 };
}

int taskclock_read(const struct taskclock *t, uint64_t *ret_ns)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < t->n; i++) {
		uint64_t ns;

		if (read(t->fds[i], &ns, sizeof(ns)) != (ssize_t) sizeof(ns))
			return -EIO;
		sum += ns;
	}
	*ret_ns = sum;
	return 0;
}
