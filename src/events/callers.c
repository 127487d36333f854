// SPDX-License-Identifier: MIT
#include "events/callers.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* No program has more files open: a number beyond that is not a descriptor. */
#define FDS_MAX (1 << 20)

void callers_init(struct callers *c)
{
	struct rlimit limit;

	*c = (struct callers) { .max = CALLERS_MAX };
	/* The other half is for what is measured. */
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / 2 < c->max)
		c->max = (size_t) limit.rlim_cur / 2;
}

static bool grow(struct callers *c, size_t n)
{
	struct caller *more;

	if (n <= c->n_fds)
		return true;
	n = (n + 255) / 256 * 256;
	more = realloc(c->by_fd, n * sizeof(*more));
	if (!more)
		return false;
	memset(more + c->n_fds, 0, (n - c->n_fds) * sizeof(*more));
	c->by_fd = more;
	c->n_fds = n;
	return true;
}

static struct caller *at(struct callers *c, int fd)
{
	if (fd < 0 || (size_t) fd >= c->n_fds || !c->by_fd[fd].connected)
		return NULL;
	return &c->by_fd[fd];
}

void callers_add(struct callers *c, int fd, uint64_t now_ns)
{
	if (fd < 0 || fd >= FDS_MAX || !grow(c, (size_t) fd + 1))
		return;
	c->n += !c->by_fd[fd].connected;
	c->by_fd[fd] =
		(struct caller) { .connected = true, .id = ++c->last_id, .heard_ns = now_ns };
}

void callers_remove(struct callers *c, int fd)
{
	struct caller *caller = at(c, fd);

	if (!caller)
		return;
	caller->connected = false;
	c->n--;
}

uint64_t callers_heard(struct callers *c, int fd, uint64_t now_ns)
{
	struct caller *caller = at(c, fd);

	if (!caller)
		return 0;
	caller->heard_ns = now_ns;
	return caller->id;
}

static int idle_longest(struct callers *c)
{
	int found = -1;

	for (size_t fd = 0; fd < c->n_fds; fd++)
		if (c->by_fd[fd].connected &&
			(found < 0 || c->by_fd[fd].heard_ns < c->by_fd[found].heard_ns))
			found = (int) fd;
	return found;
}

size_t callers_make_room(struct callers *c)
{
	size_t n = 0;

	for (; c->n > c->max; n++) {
		int fd = idle_longest(c);

		/* ZeroMQ's thread owns it and closes it when it finds the end of the stream. */
		shutdown(fd, SHUT_RDWR);
		callers_remove(c, fd);
	}
	c->n_closed += n;
	return n;
}

void callers_finish(struct callers *c)
{
	free(c->by_fd);
	*c = (struct callers) { 0 };
}
