// SPDX-License-Identifier: MIT
#include "util/fdroom.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

void fdroom_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int fdroom_check(size_t n, char *ret_why, size_t why_size)
{
	int fds[FDROOM_MAX];
	size_t opened = 0;
	int r = 0;

	while (r == 0 && opened < n && opened < FDROOM_MAX) {
		/* No copy of another descriptor: of those there may be none. */
		fds[opened] = open("/", O_PATH | O_CLOEXEC);
		if (fds[opened] < 0)
			r = -errno;
		else
			opened++;
	}
	while (opened > 0)
		close(fds[--opened]);
	if (r < 0)
		snprintf(ret_why, why_size, "cannot open %zu files: %s%s", n, strerror(-r),
			r == -EMFILE ? "; fix: ulimit -n 1024" : "");
	return r;
}
