// SPDX-License-Identifier: MIT
/* Threads that signals do not come to: they are the main thread's business, or in a library the
 * program's. */
#ifndef PM_UTIL_THREAD_H
#define PM_UTIL_THREAD_H

#include <pthread.h>

/* Starts one. name: at most 15 bytes. Returns 0 or -errno. */
int thread_start(pthread_t *ret, void *(*run)(void *arg), void *arg, const char *name);

#endif
