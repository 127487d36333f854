// SPDX-License-Identifier: MIT
#include "target/proctree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "util/cleanup.h"
#include "util/dirscan.h"
#include "util/parse.h"
#include "target/procstat.h"

struct search {
	pid_t pid;
	int (*each)(pid_t child, void *ctx);
	void *ctx;
	bool no_lists; /* the kernel was built without lists of children */
};

/* The list is numbers with blanks, and may be longer than any buffer. */
static int read_list(int fd, const struct search *s)
{
	char text[4096];
	pid_t child = 0;
	ssize_t n;

	while ((n = read(fd, text, sizeof(text))) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			int r;

			if (text[i] >= '0' && text[i] <= '9') {
				child = child * 10 + (text[i] - '0');
				continue;
			}
			r = child ? s->each(child, s->ctx) : 0;
			child = 0;
			if (r)
				return r;
		}
	}
	return child ? s->each(child, s->ctx) : 0;
}

static int search_thread(const char *name, void *ctx)
{
	struct search *s = ctx;
	CLEANUP_FD int fd = -1;
	char path[64];
	uint64_t tid;

	if (parse_u64(name, &tid) < 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int) s->pid, (int) tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		/* Is it the thread that is gone? The first one's directory stays to the end. */
		if (errno == ENOENT && (pid_t) tid == s->pid)
			s->no_lists = true;
		return 0;
	}
	return read_list(fd, s);
}

static int search_process(const char *name, void *ctx)
{
	const struct search *s = ctx;
	struct procstat stat;
	uint64_t pid;

	if (parse_u64(name, &pid) < 0 || procstat_read((pid_t) pid, &stat) < 0 ||
		stat.ppid != s->pid)
		return 0;
	return s->each((pid_t) pid, s->ctx);
}

static int scan(const char *path, int (*each)(const char *name, void *ctx), struct search *s)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	return dirscan(fd, each, s);
}

int proctree_children(pid_t pid, int (*each)(pid_t child, void *ctx), void *ctx)
{
	struct search s = { .pid = pid, .each = each, .ctx = ctx };
	char path[40];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/task", (int) pid);
	r = scan(path, search_thread, &s);
	if (r == 0 && s.no_lists)
		r = scan("/proc", search_process, &s);
	return r;
}
