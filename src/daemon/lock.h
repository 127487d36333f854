// SPDX-License-Identifier: MIT
/* One writer for each log directory. */
#ifndef PM_DAEMON_LOCK_H
#define PM_DAEMON_LOCK_H

#include <stddef.h>

/* Makes the directory if it is missing, and locks it for as long as the descriptor is open.
 * Returns the descriptor; or -errno with the reason, -EWOULDBLOCK naming the holder. */
int lock_log_dir(const char *dir, char *ret_why, size_t n);

/* Where the directory was deleted or moved away and made again: locks the new one in the place of the old.
 * Returns 0, also while there is no directory; or -errno with the reason. */
int lock_follow(const char *dir, int *fd, char *ret_why, size_t n);

#endif
