// SPDX-License-Identifier: MIT
/*
 * A process's CPU time, kept by the kernel beyond the process's end.
 *
 * A process's own clock is gone once its parent has reaped it, with what was used since the last
 * reading. A perf task-clock event on each thread outlives them: its descriptor can still be
 * read. It costs a right to trace the process (one's own ones) and, at each read of a running
 * thread, an interruption of it; so it is read once a second and at the end only, and serves for
 * the time after its last reading alone.
 */
#ifndef PM_TARGET_TASKCLOCK_H
#define PM_TARGET_TASKCLOCK_H

#include <stdint.h>
#include <sys/types.h>

#define TASKCLOCK_MAX_THREADS 64

struct taskclock {
	int *fds; /* one event a thread; threads made later are counted in their maker's */
	unsigned n;
};

/* Opens events on all threads of a process; *t is zeroed memory. Returns 0 or -errno: -EACCES or
 * -EPERM without the right, -E2BIG for more threads than TASKCLOCK_MAX_THREADS or than the caller
 * allows, -EBUSY where threads come and go too fast to be sure of counting each once. */
int taskclock_init(struct taskclock *t, pid_t pid, unsigned max_threads);

/* The same, counting the children too that the threads make from now on, and theirs. */
int taskclock_init_tree(struct taskclock *t, pid_t pid, unsigned max_threads);

void taskclock_finish(struct taskclock *t);

/* CPU time in nanoseconds since taskclock_init(). Returns 0 or -errno. */
int taskclock_read(const struct taskclock *t, uint64_t *ret_ns);

#endif
