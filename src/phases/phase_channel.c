// SPDX-License-Identifier: MIT
/*
 * Making a channel, and removing those that were left behind.
 */
#include "phases/phase_channel_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "machine/clock.h"
#include "util/cleanup.h"
#include "target/procstat.h"

#define NAME_PREFIX "powermeasure-phases."

static uint64_t own_pid_ns(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) == 0 ? (uint64_t) st.st_ino : 0;
}

/* Whether the program that made a channel still runs. Of another PID namespace, as a container has that
 * shares this directory, nobody knows. */
static bool is_in_use(const struct pm_phase_head_ *head)
{
	struct procstat stat;

	if (head->creator_ns != own_pid_ns())
		return true;
	return head->creator_pid > 0 && head->creator_pid <= INT32_MAX &&
		procstat_read((pid_t) head->creator_pid, &stat) == 0 &&
		stat.start_ticks == head->creator_start;
}

/* Whose maker was killed before anything was in it: it takes no second to write that. */
static bool was_left_unfinished(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_size == 0 && st->st_uid == geteuid() &&
		time(NULL) > st->st_ctime + 60;
}

/* Removes a channel that was left behind. */
static int remove_stale(const char *path, char *ret_why, size_t n)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct pm_phase_head_ head = { .magic = "" };
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		snprintf(ret_why, n, "%s is there and cannot be looked at: %s", path,
			strerror(errno));
		return -EEXIST;
	}
	if (!was_left_unfinished(&st) &&
		(!S_ISREG(st.st_mode) ||
			pread(fd, &head, sizeof(head), 0) != (ssize_t) sizeof(head) ||
			memcmp(head.magic, PM_PHASE_MAGIC_, sizeof(head.magic)) != 0)) {
		snprintf(ret_why, n, "%s is there and is no channel for phases", path);
		return -EEXIST;
	}
	if (st.st_size > 0 && is_in_use(&head)) {
		snprintf(ret_why, n, "%s is in use by pid %d", path, (int) head.creator_pid);
		return -EBUSY;
	}
	if (unlink(path) < 0) {
		snprintf(ret_why, n, "%s was left behind and cannot be removed: %s", path,
			strerror(errno));
		return -EACCES;
	}
	return 0;
}

/* Those whose makers were killed: nobody else removes them. */
static void remove_all_stale(void)
{
	CLEANUP_DIR DIR *dir = opendir(PHASE_CHANNEL_DIR);
	const struct dirent *entry;
	char path[512], why[512];

	while (dir && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, NAME_PREFIX, strlen(NAME_PREFIX)) != 0)
			continue;
		snprintf(path, sizeof(path), PHASE_CHANNEL_DIR "%s", entry->d_name);
		remove_stale(path, why, sizeof(why));
	}
}

static int make_file(struct phase_channel *c, const char *path, char *ret_why, size_t n)
{
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
	size_t dir = strlen(PHASE_CHANNEL_DIR);
	int r;

	if (!path) {
		remove_all_stale();
		snprintf(c->path, sizeof(c->path), PHASE_CHANNEL_DIR NAME_PREFIX "XXXXXX");
		c->fd = mkostemp(c->path, O_CLOEXEC);
		r = c->fd < 0 ? -errno : 0;
		if (r < 0)
			snprintf(ret_why, n, "no file can be made in " PHASE_CHANNEL_DIR ": %s",
				strerror(-r));
		return r;
	}
	if (strncmp(path, PHASE_CHANNEL_DIR, dir) != 0 || path[dir] == '\0' || path[dir] == '.' ||
		strchr(path + dir, '/') || strlen(path) >= sizeof(c->path)) {
		snprintf(ret_why, n, "\"%.100s\" is no file in " PHASE_CHANNEL_DIR, path);
		return -EINVAL;
	}
	snprintf(c->path, sizeof(c->path), "%s", path);
	c->fd = open(path, flags, 0600);
	if (c->fd < 0 && errno == EEXIST) {
		r = remove_stale(path, ret_why, n);
		if (r < 0)
			return r;
		c->fd = open(path, flags, 0600);
	}
	r = c->fd < 0 ? -errno : 0;
	if (r < 0)
		snprintf(ret_why, n, "%s: %s", path, strerror(-r));
	return r;
}

static int fill(struct phase_channel *c, uid_t owner)
{
	struct pm_phase_head_ head = { .magic = PM_PHASE_MAGIC_,
		.version = PM_PHASE_VERSION_,
		.rings = PM_PHASE_RINGS_,
		.records = PM_PHASE_RECORDS_,
		.names = PM_PHASE_NAMES_,
		.creator_pid = (uint64_t) getpid(),
		.creator_ns = c->own_pid_ns };
	struct procstat stat;
	struct rlimit limit;
	int r;

	if (procstat_read(getpid(), &stat) == 0)
		head.creator_start = stat.start_ticks;
	/* Beyond it the kernel would send a signal. */
	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < PM_PHASE_BYTES_)
		return -EFBIG;
	if (ftruncate(c->fd, (off_t) PM_PHASE_BYTES_) < 0)
		return -errno;
	/* A program that marks must not be hit by a signal since there is no memory. */
	r = posix_fallocate(c->fd, 0, (off_t) PM_PHASE_DATA_AT_);
	if (r != 0)
		return -r;
	if (pwrite(c->fd, &head, sizeof(head), 0) != (ssize_t) sizeof(head))
		return -EIO;
	return owner != geteuid() && fchown(c->fd, owner, (gid_t) -1) < 0 ? -errno : 0;
}

int phase_channel_create(
	struct phase_channel **ret, const char *path, uid_t owner, char *ret_why, size_t n)
{
	struct phase_channel *c = calloc(1, sizeof(*c));
	int r;

	if (!c) {
		snprintf(ret_why, n, "out of memory");
		return -ENOMEM;
	}
	c->fd = -1;
	c->created_ns = clock_mono_ns(&clock_system);
	c->own_pid_ns = own_pid_ns();
	r = make_file(c, path, ret_why, n);
	if (r == 0) {
		r = fill(c, owner);
		if (r < 0)
			snprintf(ret_why, n, "%s: %s", c->path, strerror(-r));
	}
	if (r < 0) {
		phase_channel_destroy(c);
		return r;
	}
	*ret = c;
	return 0;
}

void phase_channel_destroy(struct phase_channel *c)
{
	struct stat own, there;

	if (!c)
		return;
	/* Somebody else may have put something in its place. */
	if (c->fd >= 0 && fstat(c->fd, &own) == 0 && lstat(c->path, &there) == 0 &&
		own.st_dev == there.st_dev && own.st_ino == there.st_ino)
		unlink(c->path);
	close_fd(&c->fd);
	free(c);
}

const char *phase_channel_path(const struct phase_channel *c)
{
	return c->path;
}

bool phase_channel_is_used(const struct phase_channel *c)
{
	return c->used;
}

const char *phase_channel_name(const struct phase_channel *c, uint32_t name)
{
	return c->names[name];
}

void phase_channel_troubles(const struct phase_channel *c, struct phase_troubles *ret)
{
	*ret = c->troubles;
	ret->refused = c->refused;
}
