// SPDX-License-Identifier: MIT
#include "target/procstat.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"

static const char *last_bracket(const char *text, size_t n)
{
	while (n > 0)
		if (text[--n] == ')')
			return text + n;
	return NULL;
}

int procstat_parse(const char *text, size_t n, struct procstat *ret)
{
	const char *open = memchr(text, '(', n);
	const char *close = last_bracket(text, n);
	struct procstat p = { 0 };
	char rest[512];
	size_t len;
	int ppid;
	uint64_t utime, stime, cutime, cstime;

	if (!open || !close || close < open)
		return -EINVAL;
	len = (size_t) (close - open - 1);
	if (len >= sizeof(p.comm))
		len = sizeof(p.comm) - 1;
	memcpy(p.comm, open + 1, len);
	len = n - (size_t) (close + 1 - text);
	if (len >= sizeof(rest))
		len = sizeof(rest) - 1;
	memcpy(rest, close + 1, len);
	rest[len] = '\0';
	/* From field 3 on, as proc(5) numbers them: 3 state, 4 ppid, 14 to 17 times, 20 threads,
	 * 22 start. */
	if (sscanf(rest,
		    " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64 " %" SCNu64
		    " %" SCNu64 " %*d %*d %" SCNu32 " %*d %" SCNu64,
		    &p.state, &ppid, &utime, &stime, &cutime, &cstime, &p.n_threads,
		    &p.start_ticks) != 8)
		return -EINVAL;
	p.ppid = ppid;
	p.cpu_ticks = utime + stime;
	p.children_ticks = cutime + cstime;
	*ret = p;
	return 0;
}

int procstat_read(pid_t pid, struct procstat *ret)
{
	CLEANUP_FD int fd = -1;
	char path[32], text[1024];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	n = read(fd, text, sizeof(text));
	if (n < 0)
		return -errno;
	return procstat_parse(text, (size_t) n, ret);
}
