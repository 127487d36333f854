// SPDX-License-Identifier: MIT
/*
 * openat() that never leaves a directory: absolute links and ".." are followed inside of it, as if
 * it were the root. A captured tree may hold absolute links.
 */
#ifndef PM_UTIL_ROOTOPEN_H
#define PM_UTIL_ROOTOPEN_H

/* `path` is relative to root_fd; `flags` without O_NOFOLLOW and O_CREAT. Returns a descriptor, or
 * -errno: -ELOOP after too many links, -ENAMETOOLONG where a link makes the path too long. */
int root_open(int root_fd, const char *path, int flags);

#endif
