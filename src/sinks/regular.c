// SPDX-License-Identifier: MIT
#include "sinks/regular.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "util/cleanup.h"

/* /dev/null and the like: devices of which none waits for anybody. */
static bool is_memory_device(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && major(st->st_rdev) == 1;
}

static int open_checked(int dir_fd, const char *name, int flags, mode_t mode, bool or_memory)
{
	CLEANUP_FD int fd = openat(dir_fd, name, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, mode);
	struct stat st;

	/* ENXIO: a FIFO that nobody reads, or a socket. */
	if (fd < 0)
		return errno == ENXIO ? -EISNAM : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) && !(or_memory && is_memory_device(&st)))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EISNAM;
	return take_fd(&fd);
}

int regular_open(int dir_fd, const char *name, int flags, mode_t mode)
{
	return open_checked(dir_fd, name, flags | O_NOFOLLOW, mode, false);
}

int regular_open_named(const char *path, int flags, mode_t mode)
{
	int fd = open_checked(AT_FDCWD, path, flags | O_NOFOLLOW, mode, true);
	struct stat link;

	if (fd != -ELOOP || lstat(path, &link) < 0 || link.st_uid != geteuid())
		return fd;
	return open_checked(AT_FDCWD, path, flags, mode, true);
}

const char *regular_strerror(int error)
{
	switch (error) {
	case ELOOP:
		return "is a symbolic link, which is not followed";
	case EISNAM:
		return "is not a regular file";
	default:
		return strerror(error);
	}
}
