// SPDX-License-Identifier: MIT
/*
 * What a command is made of, for the files that start and follow it.
 */
#ifndef PM_TARGET_COMMAND_STATE_H
#define PM_TARGET_COMMAND_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "target/command.h"
#include "target/cgroupfs.h"
#include "target/pidlist.h"

struct command {
	pid_t pid;
	int go_fd;    /* a byte in it lets the process go on */
	int error_fd; /* the errno of an exec that failed comes out of it */
	struct cgroup_own group;
	bool has_group;
	struct pid_list strangers; /* children that this process had before: the command's are
				    * told by that alone */
	bool was_subreaper;
	struct target live; /* the tree, as far as it is known before processes are waited for */
	bool exact;         /* by perf events */
	uint64_t reaped_ns; /* of processes that were waited for, with theirs */
	uint64_t
		before_ns; /* what the process used before it was the command, in its own clock ... */
	uint64_t live_before_ns; /* ... and as far as the live target knew of it */
	bool ended;
	int status;
};

#endif
