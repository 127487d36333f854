// SPDX-License-Identifier: MIT
/*
 * What energy is given to. A process is named by its pid and its start time, so that a number
 * that is used again is another target.
 */
#ifndef PM_TARGET_TARGET_H
#define PM_TARGET_TARGET_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "meter/domain.h"
#include "target/taskclock.h"

enum usage_flag {
	USAGE_ENDED = 1 << 0, /* the target is gone; this is its last reading */
	USAGE_TAIL =
		1 << 1, /* its last CPU time could not be read; tail_ns bounds what is missing */
};

/* CPU time of one target. */
struct usage {
	uint32_t slot;
	unsigned flags;
	uint64_t cpu_ns;  /* cumulative */
	uint64_t tail_ns; /* with USAGE_TAIL: at most this much more was used */
	/* The part that it had of the domains with tells_users, in their order, at their last looks. */
	uint32_t used_ppm[METER_MAX_USED];
};

struct target {
	const struct target_ops *ops;
	uint32_t slot; /* the owner's number for it, copied into each usage; set before reading */
	pid_t pid;
	char name[64];
	uint64_t start_ticks;
	int exit_fd; /* readable once the target ended; -1 where the kernel has no such thing */

	/* The rest is the ops' own. */
	bool ended; /* `last` is all there will be */
	struct usage last;
	uint32_t used_ppm[METER_MAX_USED];
	clockid_t cpu_clock;
	uint64_t last_cpu_ns;
	uint64_t last_read_ns; /* when last_cpu_ns was read */
	uint32_t n_threads;
	struct taskclock kept;
	uint64_t kept_ns;     /* the kept clock's value at the last mark ... */
	uint64_t mark_cpu_ns; /* ... the process clock's then ... */
	uint64_t mark_ns;     /* ... and when that was */
	void *state;          /* a tree */
	int usage_fd;         /* of a control group */
};

struct target_ops {
	const char *name;

	/* Cumulative CPU time. Never fails: a target that is gone gives its last reading, with
	 * USAGE_ENDED, at this and each later call. now_ns is the present. */
	void (*read)(struct target *t, uint64_t now_ns, struct usage *ret);

	/* As read(), when exit_fd has told that the target ended: gets the last CPU time from
	 * wherever it still is. */
	void (*read_last)(struct target *t, uint64_t now_ns, struct usage *ret);

	/* Whether the process is part of the target. It may have ended. */
	bool (*has)(const struct target *t, pid_t pid);

	void (*close)(struct target *t);
};

/* Prepares a process as a target. Returns 0, -ESRCH where there is no such process (or only a
 * zombie is left of it), or another -errno. */
int target_open_process(struct target *t, pid_t pid);

/* Gives it a clock that outlives the process, for its last CPU time; ownership goes over. Apart
 * from opening, because the first perf event on a machine takes the kernel milliseconds. */
void target_keep(struct target *t, struct taskclock clock);

/* Prepares a process with everything that it starts as a target: its descendants of now, those to
 * come, and those that have ended, from now on. It ends when the process itself does. Returns 0,
 * -ESRCH or another -errno; *ret_exact tells whether children that live for less than the time
 * between two readings are counted whatever becomes of them (perf events), or only if their parent
 * waits for them (/proc). */
int target_open_tree(struct target *t, pid_t pid, bool *ret_exact);

/* Prepares a control group as a target: everything that ran in it, from now on. group is its
 * directory, or its path as /proc/PID/cgroup shows it. Returns 0 or -errno: -ENOENT where there is
 * no such group, -EOPNOTSUPP where it tells no CPU time. */
int target_open_cgroup(struct target *t, const char *group);

/* Takes a zeroed target too. */
void target_close(struct target *t);

#endif
