// SPDX-License-Identifier: MIT
/* /proc/PID/stat: a name may hold blanks, brackets and newlines, so it is parsed from its end. */
#ifndef PM_TARGET_PROCSTAT_H
#define PM_TARGET_PROCSTAT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct procstat {
	char comm[64];
	char state; /* R S D T t Z X I */
	pid_t ppid;
	uint64_t cpu_ticks;      /* user and system, all threads, ended ones too; USER_HZ */
	uint64_t children_ticks; /* of children that were waited for */
	uint64_t start_ticks;    /* since boot; with the pid it names a process for ever */
	uint32_t n_threads;
};

/* Parses the file's n bytes. Returns 0 or -EINVAL. */
int procstat_parse(const char *text, size_t n, struct procstat *ret);

/* Reads it for a pid. Returns 0, -ESRCH where there is no such process, or another -errno. */
int procstat_read(pid_t pid, struct procstat *ret);

#endif
