// SPDX-License-Identifier: MIT
/*
 * Scope-bound cleanup. A variable declared with one of these macros gives back what it holds when
 * it goes out of scope; handing the thing over to somebody else is written down with take_fd() or
 * take_ptr(), so that no object is ever freed by two owners.
 */
#ifndef PM_UTIL_CLEANUP_H
#define PM_UTIL_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_fd(int *fd)
{
	if (*fd >= 0) {
		int saved = errno;

		close(*fd);
		errno = saved;
	}
}

static inline void cleanup_free(void *p)
{
	free(*(void **) p);
}

static inline void cleanup_dir(DIR **d)
{
	if (*d)
		closedir(*d);
}

#define CLEANUP(f) __attribute__((cleanup(f)))
#define CLEANUP_FD CLEANUP(cleanup_fd)
#define CLEANUP_FREE CLEANUP(cleanup_free)
#define CLEANUP_DIR CLEANUP(cleanup_dir)

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Closes *fd if it is open and marks it closed; safe to call twice. */
static inline void close_fd(int *fd)
{
	cleanup_fd(fd);
	*fd = -1;
}

#define take_ptr(p)                         \
	__extension__({                     \
		__typeof__(p) taken_ = (p); \
		(p) = NULL;                 \
		taken_;                     \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
