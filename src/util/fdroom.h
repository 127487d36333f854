// SPDX-License-Identifier: MIT
/* How many descriptors the process may have. */
#ifndef PM_UTIL_FDROOM_H
#define PM_UTIL_FDROOM_H

#include <stddef.h>

#define FDROOM_MAX 64

/* Sets the soft limit to the hard one. Where that is refused nothing changes. */
void fdroom_raise(void);

/* Whether n more descriptors, FDROOM_MAX at most, can be opened at this moment; for what would be told
 * too late, or by a library that aborts. Returns 0; -EMFILE at the process's limit, -ENFILE at the
 * machine's, or another -errno, with the reason and what to do in ret_why (NULL if why_size is 0). */
int fdroom_check(size_t n, char *ret_why, size_t why_size);

#endif
