// SPDX-License-Identifier: MIT
/*
 * Control groups, as far as a power meter needs them: where a group's CPU time is told, and a group
 * of one's own for a command. A group counts the CPU time of everything that ever ran in it, ended
 * processes included, and one read tells it.
 */
#ifndef PM_TARGET_CGROUPFS_H
#define PM_TARGET_CGROUPFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CGROUP_PATH_MAX 4096

/* Opens the file that tells a group's CPU time: cpu.stat (version 2) or cpuacct.usage (version 1).
 * group is a directory, or a path as /proc/PID/cgroup shows it. Returns a descriptor for
 * cgroup_read_ns(), or -errno: -ENOENT where there is no such group, -EOPNOTSUPP where it tells no
 * CPU time. */
int cgroup_open_usage(const char *group);

/* Reads the CPU time in nanoseconds from such a descriptor. Returns 0 or -errno; -ENODEV when the
 * group was removed. */
int cgroup_read_ns(int fd, uint64_t *ret_ns);

/* Whether the process is in the group of such a descriptor now; in a group below it does not count. */
bool cgroup_has(int fd, pid_t pid);

/* Parses either file's text. Returns 0 or -EINVAL. */
int cgroup_parse_ns(const char *text, uint64_t *ret_ns);

/* Where a hierarchy is mounted: `root` is what of it is seen at `point`. */
struct cgroup_mount {
	char root[CGROUP_PATH_MAX];
	char point[CGROUP_PATH_MAX];
};

/* Looks whether a line of /proc/PID/mountinfo is the mount of version 2, or of version 1 with the
 * cpuacct controller; *ret is overwritten in any case. */
bool cgroup_parse_mount(const char *line, bool v2, struct cgroup_mount *ret);

/* The same for a line of /proc/PID/cgroup, "0::/path" or "N:cpu,cpuacct:/path". */
bool cgroup_parse_own(const char *line, bool v2, char *ret, size_t n);

/* The directory of a group whose path is as /proc/PID/cgroup shows it. */
void cgroup_directory(const struct cgroup_mount *mount, const char *group, char *ret, size_t n);

/* A group of one's own, below the one that this process is in. */
struct cgroup_own {
	char path[CGROUP_PATH_MAX]; /* its directory */
	int procs_fd;               /* writing "0" to it moves the writer in */
	int usage_fd;
	int dir_fd; /* its directory, for CLONE_INTO_CGROUP; -1 in version 1, which has no such thing */
};

/* Makes the group. Returns 0 or -errno: as an ordinary user one mostly has no right to. */
int cgroup_own_create(struct cgroup_own *ret);

/* Moves the calling process into it; for a child between fork and exec. Returns 0 or -errno. It
 * makes the kernel wait for all its CPUs, for up to some 20 ms: to be born in it is better. */
int cgroup_own_enter(const struct cgroup_own *g);

/* The processes that are in it now: up to max pids into ret. Returns how many there are, or -errno. */
int cgroup_own_list(const struct cgroup_own *g, pid_t *ret, size_t max);

/* Moves what is left in it to the group above, removes it and closes the descriptors. Takes a
 * zeroed one. */
void cgroup_own_remove(struct cgroup_own *g);

#endif
