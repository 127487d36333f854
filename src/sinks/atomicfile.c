// SPDX-License-Identifier: MIT
#include "sinks/atomicfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "util/cleanup.h"

static int write_all(int fd, const char *text, size_t n)
{
	while (n > 0) {
		ssize_t done = write(fd, text, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		text += done;
		n -= (size_t) done;
	}
	return 0;
}

int atomicfile_write(const char *dir, const char *name, const char *text, size_t n, bool sync)
{
	CLEANUP_FD int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP_FD int fd = -1;
	char hidden[256];
	int r;

	if (dir_fd < 0)
		return -errno;
	snprintf(hidden, sizeof(hidden), ".%s.new", name);
	/* Whatever stands there: it is this program's name, and nothing in the way is opened. */
	unlinkat(dir_fd, hidden, 0);
	fd = openat(dir_fd, hidden, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	r = write_all(fd, text, n);
	if (r == 0 && sync && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && renameat(dir_fd, hidden, dir_fd, name) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(dir_fd, hidden, 0);
	return r;
}
