// SPDX-License-Identifier: MIT
/* One writer for each log directory. */
#ifndef PM_DAEMON_LOCK_H
#define PM_DAEMON_LOCK_H

#include <stddef.h>

/* Makes the directory if it is missing, and locks it for as long as the descriptor is open.
 * Returns the descriptor; or -errno with the reason, -EWOULDBLOCK naming the holder. */
int lock_log_dir(const char *dir, char *ret_why, size_t n);

#endif
