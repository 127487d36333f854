// SPDX-License-Identifier: MIT
/* The names in a directory, without allocating: sensors look for lost files while sampling. */
#ifndef PM_UTIL_DIRSCAN_H
#define PM_UTIL_DIRSCAN_H

/* Calls each() for every name in the directory but "." and "..", in no order. A result other than
 * 0 ends the walk and is returned. dir_fd is not closed; its position moves. Returns 0 or -errno. */
int dirscan(int dir_fd, int (*each)(const char *name, void *ctx), void *ctx);

#endif
