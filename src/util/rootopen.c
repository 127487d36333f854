// SPDX-License-Identifier: MIT
#include "util/rootopen.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Linux 5.6 brought the call with its header <linux/openat2.h>; kernel headers may be older. */
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#define IN_ROOT UINT64_C(0x10) /* RESOLVE_IN_ROOT */
struct how {
	uint64_t flags;
	uint64_t mode;
	uint64_t resolve;
};

/* As many as the kernel follows. */
#define LINKS_MAX 40

/* A path that is resolved from left to right. */
struct walk {
	int root_fd;
	char done[PATH_MAX]; /* without links and "..", relative to root_fd */
	char left[PATH_MAX]; /* what is still to come */
	unsigned n_links;
};

static void leave_directory(struct walk *w)
{
	char *slash = strrchr(w->done, '/');

	*(slash ? slash : w->done) = '\0';
}

/* Takes the first name off what is left; false at the end. */
static bool next_name(struct walk *w, char *ret, size_t n)
{
	const char *start = w->left + strspn(w->left, "/");
	size_t len = strcspn(start, "/");

	if (len == 0 || len >= n)
		return false;
	memcpy(ret, start, len);
	ret[len] = '\0';
	memmove(w->left, start + len, strlen(start + len) + 1);
	return true;
}

/* The link's target takes the place of its name. */
static int follow(struct walk *w, const char *target)
{
	char left[PATH_MAX];
	int len = snprintf(left, sizeof(left), "%s%s", target, w->left);

	if (++w->n_links > LINKS_MAX)
		return -ELOOP;
	if ((size_t) len >= sizeof(left))
		return -ENAMETOOLONG;
	memcpy(w->left, left, (size_t) len + 1);
	if (target[0] == '/')
		w->done[0] = '\0';
	else
		leave_directory(w);
	return 0;
}

static int enter(struct walk *w, const char *name)
{
	size_t len = strlen(w->done);
	char target[PATH_MAX];
	ssize_t n;

	if (strcmp(name, ".") == 0)
		return 0;
	if (strcmp(name, "..") == 0) {
		leave_directory(w);
		return 0;
	}
	if (len + 1 + strlen(name) >= sizeof(w->done))
		return -ENAMETOOLONG;
	sprintf(w->done + len, "%s%s", len > 0 ? "/" : "", name);
	n = readlinkat(w->root_fd, w->done, target, sizeof(target) - 1);
	if (n < 0)
		return errno == EINVAL ? 0 : -errno; /* EINVAL: not a link */
	target[n] = '\0';
	return follow(w, target);
}

/* The same by hand. What moves while it is looked at may be missed, but no link leads out. */
static int walk_and_open(int root_fd, const char *path, int flags)
{
	struct walk w = { .root_fd = root_fd };
	char name[NAME_MAX + 1];
	int fd, r = 0;

	if ((size_t) snprintf(w.left, sizeof(w.left), "%s", path) >= sizeof(w.left))
		return -ENAMETOOLONG;
	while (r == 0 && next_name(&w, name, sizeof(name)))
		r = enter(&w, name);
	if (r < 0)
		return r;
	if (w.left[strspn(w.left, "/")] != '\0')
		return -ENAMETOOLONG;
	fd = openat(root_fd, w.done[0] ? w.done : ".", flags);
	return fd < 0 ? -errno : fd;
}

int root_open(int root_fd, const char *path, int flags)
{
	struct how how = { .flags = (uint64_t) (unsigned) flags, .resolve = IN_ROOT };
	int fd = (int) syscall(SYS_openat2, root_fd, path, &how, sizeof(how));

	if (fd >= 0)
		return fd;
	/* Older kernels do not know the call, and a container's filter may refuse what it does not
	 * know in its own way. Files have none of these errors for an O_RDONLY or O_PATH. */
	if (errno == ENOSYS || errno == EPERM || errno == EINVAL)
		return walk_and_open(root_fd, path, flags);
	return -errno;
}
