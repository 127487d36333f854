// SPDX-License-Identifier: MIT
/*
 * The log's two files, and what they are called.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "sinks/regular.h"
#include "sinks/jsonfile_state.h"

int jsonfile_write_all(int fd, const char *data, size_t n, uint64_t offset)
{
	while (n > 0) {
		ssize_t done = pwrite(fd, data, n, (off_t) offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		if (done == 0)
			return -ENOSPC;
		data += done;
		n -= (size_t) done;
		offset += (uint64_t) done;
	}
	return 0;
}

static int copy_bytes(int from, int to, uint64_t n)
{
	CLEANUP_FREE char *block = malloc(JSONFILE_TAIL_BYTES);
	uint64_t at = 0;

	if (!block)
		return -ENOMEM;
	while (at < n) {
		size_t want = n - at < JSONFILE_TAIL_BYTES ? (size_t) (n - at)
							   : JSONFILE_TAIL_BYTES;
		ssize_t got = pread(from, block, want, (off_t) at);
		int r;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return -EIO;
		r = jsonfile_write_all(to, block, (size_t) got, at);
		if (r < 0)
			return r;
		at += (uint64_t) got;
	}
	return 0;
}

static int open_new(const struct jsonfile *f, const char *name)
{
	int fd;

	unlinkat(f->dir_fd, name, 0);
	fd = openat(f->dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	return fd < 0 ? -errno : fd;
}

/* Somebody else's log, as of a program that ran as root here before, in a directory that is ours: a
 * copy takes its place. */
int jsonfile_adopt(const struct jsonfile *f)
{
	CLEANUP_FD int from = regular_open(f->dir_fd, f->name, O_RDONLY, 0);
	CLEANUP_FD int to = -1;
	struct stat st;
	int r;

	if (from < 0)
		return from;
	if (fstat(from, &st) < 0)
		return -errno;
	to = open_new(f, f->hidden_names[0]);
	if (to < 0)
		return to;
	r = copy_bytes(from, to, (uint64_t) st.st_size);
	if (r == 0 && renameat(f->dir_fd, f->hidden_names[0], f->dir_fd, f->name) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(f->dir_fd, f->hidden_names[0], 0);
	return r;
}

int jsonfile_make_log(const struct jsonfile *f, const char *name, int from, uint64_t n)
{
	CLEANUP_FD int fd = open_new(f, name);
	int r;

	if (fd < 0)
		return fd;
	r = from >= 0 ? copy_bytes(from, fd, n) : jsonfile_write_all(fd, &f->bracket, 1, 0);
	if (r == 0)
		r = jsonfile_write_all(fd, jsonfile_closing(f), 2, from >= 0 ? n : 1);
	if (r < 0) {
		unlinkat(f->dir_fd, name, 0);
		return r;
	}
	return take_fd(&fd);
}

void jsonfile_drop_twin(struct jsonfile *f)
{
	close_fd(&f->twin_fd);
	unlinkat(f->dir_fd, f->hidden_names[0], 0);
	unlinkat(f->dir_fd, f->hidden_names[1], 0);
}

int jsonfile_make_twin(struct jsonfile *f)
{
	int fd;

	jsonfile_drop_twin(f);
	buf_reset(&f->recent);
	if (f->in_place)
		return 0;
	f->hidden = 0;
	fd = jsonfile_make_log(f, f->hidden_names[0], f->fd, f->body);
	if (fd < 0)
		return fd;
	f->twin_fd = fd;
	f->twin_body = f->body;
	return 0;
}

int jsonfile_begin_empty(struct jsonfile *f)
{
	int fd = jsonfile_make_log(f, f->hidden_names[0], -1, 0);

	if (fd < 0)
		return fd;
	if (renameat(f->dir_fd, f->hidden_names[0], f->dir_fd, f->name) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	close_fd(&f->fd);
	f->fd = fd;
	f->body = 1;
	f->any = false;
	f->last_key[0] = '\0';
	f->reserved = 0;
	return jsonfile_make_twin(f);
}

int jsonfile_move_aside(struct jsonfile *f, const char *middle, char *ret, size_t n)
{
	for (int i = 0; i < 10000; i++) {
		char number[16] = "";

		if (i > 0)
			snprintf(number, sizeof(number), ".%d", i);
		snprintf(ret, n, "%s.%s%s.json", f->base, middle, number);
		if (f->in_place) {
			struct stat st;

			if (fstatat(f->dir_fd, ret, &st, AT_SYMLINK_NOFOLLOW) == 0)
				continue;
			return renameat(f->dir_fd, f->name, f->dir_fd, ret) < 0 ? -errno : 0;
		}
		/* A link never replaces anything. */
		if (linkat(f->dir_fd, f->name, f->dir_fd, ret, 0) == 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

bool jsonfile_dir_has_links(int dir_fd)
{
	char a[48], b[48];
	bool has = false;
	int fd;

	snprintf(a, sizeof(a), ".powermeasure-link-a.%d", (int) getpid());
	snprintf(b, sizeof(b), ".powermeasure-link-b.%d", (int) getpid());
	fd = openat(dir_fd, a, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0) {
		has = linkat(dir_fd, a, dir_fd, b, 0) == 0;
		close(fd);
	}
	unlinkat(dir_fd, a, 0);
	unlinkat(dir_fd, b, 0);
	return has;
}
