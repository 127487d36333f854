// SPDX-License-Identifier: MIT
/* Small files that are replaced whole: whoever opens one sees the old text or the new one. */
#ifndef PM_SINKS_ATOMICFILE_H
#define PM_SINKS_ATOMICFILE_H

#include <stdbool.h>
#include <stddef.h>

/* Writes DIR/NAME by way of another name; with sync it is on the disk before it takes the name.
 * Returns 0 or -errno. */
int atomicfile_write(const char *dir, const char *name, const char *text, size_t n, bool sync);

#endif
