// SPDX-License-Identifier: MIT
/*
 * Lists that grow at their end.
 */
#ifndef PM_UTIL_GROW_H
#define PM_UTIL_GROW_H

#include <stddef.h>

/* Makes room for one element more in a list of n, each of `size` bytes; *cap is how many it has room
 * for. Returns the list, which may have moved; NULL if there is no memory, and then it is as it was.
 */
void *grow_list(void *list, size_t n, size_t *cap, size_t size);

#endif
