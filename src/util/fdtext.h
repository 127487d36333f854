// SPDX-License-Identifier: MIT
/* A small file that is kept open and read again and again, as those of /proc and /sys. */
#ifndef PM_UTIL_FDTEXT_H
#define PM_UTIL_FDTEXT_H

#include <stddef.h>

/* Reads a file from its beginning, n - 1 bytes at most, and ends them with NUL. Returns how many it
 * were, or -errno. */
int fdtext_read(int fd, char *ret, size_t n);

#endif
