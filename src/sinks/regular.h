// SPDX-License-Identifier: MIT
/*
 * Regular files in places where others may have put something else: opening one never waits, never follows
 * a link, and never opens a FIFO, a device or a directory.
 */
#ifndef PM_SINKS_REGULAR_H
#define PM_SINKS_REGULAR_H

#include <sys/types.h>

/* As openat(2), with O_CLOEXEC. Returns the descriptor; -ELOOP for a symbolic link, -EISDIR, -EISNAM for
 * anything else that is not a regular file, another -errno. */
int regular_open(int dir_fd, const char *name, int flags, mode_t mode);

/* The same for a file that the user named: a link that is the user's own is followed, and /dev/null and its
 * like are as good as files. */
int regular_open_named(const char *path, int flags, mode_t mode);

/* As strerror(3), for the errors of these two. */
const char *regular_strerror(int error);

#endif
