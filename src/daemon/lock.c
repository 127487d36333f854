// SPDX-License-Identifier: MIT
#include "daemon/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "sinks/regular.h"

#define LOCK_NAME ".powermeasure.lock"

static int make_dirs(const char *dir)
{
	char path[4096];
	size_t n = strlen(dir);

	if (n == 0 || n >= sizeof(path))
		return n ? -ENAMETOOLONG : -ENOENT;
	memcpy(path, dir, n + 1);
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

/* What the holder wrote about itself. */
static void read_holder(int fd, char *ret, size_t n)
{
	ssize_t got = pread(fd, ret, n - 1, 0);

	ret[got > 0 ? got : 0] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	if (*ret == '\0')
		snprintf(ret, n, "another program");
}

static int write_holder(int fd)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "powermeasure plugin, pid %d\n", (int) getpid());

	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t) n, 0) != n)
		return -errno;
	return 0;
}

/* Another user's lock file locks as well as one of our own; it only keeps our name out. */
static int open_lock(int dir_fd)
{
	int fd = regular_open(dir_fd, LOCK_NAME, O_RDWR | O_CREAT, 0644);

	if (fd != -EACCES)
		return fd;
	fd = regular_open(dir_fd, LOCK_NAME, O_RDONLY, 0);
	return fd == -ENOENT ? -EACCES : fd; /* there is none, and none may be made */
}

/* Appends to the reason what to do about it. */
static void add_remedy(int dir_fd, int error, char *why, size_t n)
{
	size_t len = strlen(why);
	struct stat st;

	if (error == -EACCES && fstat(dir_fd, &st) == 0 && st.st_uid != geteuid())
		snprintf(why + len, n - len,
			": the directory is of uid %u, this program runs as uid %u; run it as that "
			"user, or choose another with --log-dir",
			(unsigned) st.st_uid, (unsigned) geteuid());
	else if (error == -ELOOP || error == -EISNAM || error == -EISDIR)
		snprintf(why + len, n - len, "; remove it");
	else
		snprintf(why + len, n - len, "; choose another directory with --log-dir");
}

int lock_log_dir(const char *dir, char *ret_why, size_t n)
{
	CLEANUP_FD int dir_fd = -1;
	CLEANUP_FD int fd = -1;
	char holder[128];
	int r = make_dirs(dir);

	if (r < 0) {
		snprintf(ret_why, n,
			"cannot make the log directory %s: %s; choose another with --log-dir", dir,
			strerror(-r));
		return r;
	}
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0) {
		r = -errno;
		snprintf(ret_why, n,
			"cannot open the log directory %s: %s; choose another with --log-dir", dir,
			strerror(-r));
		return r;
	}
	fd = open_lock(dir_fd);
	if (fd < 0) {
		r = fd;
		fd = -1;
		snprintf(ret_why, n, "cannot open the lock file %s/%s: %s", dir, LOCK_NAME,
			regular_strerror(-r));
		add_remedy(dir_fd, r, ret_why, n);
		return r;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		r = -errno;
		read_holder(fd, holder, sizeof(holder));
		if (r == -EWOULDBLOCK)
			snprintf(ret_why, n,
				"%s already writes its logs to %s: stop it, or choose another "
				"directory with --log-dir",
				holder, dir);
		else
			snprintf(ret_why, n, "cannot lock %s/%s: %s", dir, LOCK_NAME, strerror(-r));
		return r;
	}
	/* A full disk: the lock holds all the same, it is only without a name. */
	if (write_holder(fd) < 0)
		errno = 0;
	return take_fd(&fd);
}

int lock_follow(const char *dir, int *fd, char *ret_why, size_t n)
{
	CLEANUP_FD int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat ours, there;
	int locked;

	if (dir_fd < 0 || fstat(*fd, &ours) < 0)
		return 0;
	if (fstatat(dir_fd, LOCK_NAME, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
		ours.st_ino == there.st_ino && ours.st_dev == there.st_dev)
		return 0;
	locked = lock_log_dir(dir, ret_why, n);
	if (locked < 0)
		return locked;
	close(*fd);
	*fd = locked;
	return 0;
}
