// SPDX-License-Identifier: MIT
/*
 * Files that the user names are opened with the user's rights: what the program was given for reading
 * sensors (capabilities of its file, or a set-user-id bit) is not the user's.
 */
#ifndef PM_UTIL_ASUSER_H
#define PM_UTIL_ASUSER_H

#include <sys/types.h>

/* As open(2). Returns the descriptor or -errno. */
int asuser_open(const char *path, int flags, mode_t mode);

#endif
