// SPDX-License-Identifier: MIT
/*
 * Bringing waiting entries into the log, by way of the hidden file or in place.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sinks/jsonfile_state.h"

/* In place, so much more room than is needed is reserved. */
#define RESERVE_BYTES (64 * 1024)

/* What comes behind the log's body: the waiting entries and what closes it. */
static void put_waiting(struct jsonfile *f)
{
	if (f->any)
		buf_str(&f->scratch, jsonfile_comma(f));
	buf_append(&f->scratch, buf_text(&f->waiting), f->waiting.len);
	buf_str(&f->scratch, jsonfile_closing(f));
}

/* Everything is prepared in the hidden file; the two changes of names are what makes it the log. */
static int flush_twin(struct jsonfile *f)
{
	const char *old_name = f->hidden_names[f->hidden];
	const char *new_name = f->hidden_names[!f->hidden];
	size_t fresh;
	int r, fd;

	buf_reset(&f->scratch);
	buf_append(&f->scratch, buf_text(&f->recent), f->recent.len);
	put_waiting(f);
	if (f->scratch.failed)
		return -ENOMEM;
	fresh = f->scratch.len - f->recent.len - strlen(jsonfile_closing(f));
	r = jsonfile_write_all(f->twin_fd, f->scratch.data, f->scratch.len, f->twin_body);
	if (r < 0)
		return r;
	if (linkat(f->dir_fd, f->name, f->dir_fd, new_name, 0) < 0)
		return -errno;
	if (renameat(f->dir_fd, old_name, f->dir_fd, f->name) < 0) {
		r = -errno;
		unlinkat(f->dir_fd, new_name, 0);
		return r;
	}
	f->hidden = !f->hidden;
	fd = f->fd;
	f->fd = f->twin_fd;
	f->twin_fd = fd;
	f->twin_body = f->body;
	f->body += fresh;
	f->any = true;
	buf_consume(&f->scratch, f->recent.len);
	buf_reset(&f->recent);
	buf_append(&f->recent, buf_text(&f->scratch), fresh);
	if (f->recent.failed) /* the twin is made anew before it is needed */
		jsonfile_drop_twin(f);
	return 0;
}

/* One write over the closing bracket; room on the disk is reserved first, so that it cannot stop
 * half way for want of it. */
static int flush_in_place(struct jsonfile *f)
{
	uint64_t end;
	int r;

	buf_reset(&f->scratch);
	put_waiting(f);
	if (f->scratch.failed)
		return -ENOMEM;
	end = f->body + f->scratch.len;
	if (end > f->reserved) {
		/* Not every such file system can reserve: then the write itself tells. */
		if (fallocate(f->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t) (end + RESERVE_BYTES)) < 0 &&
			errno == ENOSPC)
			return -ENOSPC;
		f->reserved = end + RESERVE_BYTES;
	}
	r = jsonfile_write_all(f->fd, f->scratch.data, f->scratch.len, f->body);
	if (r < 0) {
		/* What was there is put back. */
		if (jsonfile_write_all(f->fd, jsonfile_closing(f), 2, f->body) == 0 &&
			ftruncate(f->fd, (off_t) (f->body + 2)) < 0)
			return -errno;
		return r;
	}
	f->body = end - strlen(jsonfile_closing(f));
	f->any = true;
	return 0;
}

int jsonfile_flush(struct jsonfile *f)
{
	int r;

	if (f->waiting.len == 0)
		return 0;
	r = jsonfile_reopen(f);
	if (r < 0)
		return r;
	if (f->in_place) {
		r = flush_in_place(f);
	} else {
		if (f->twin_fd < 0)
			r = jsonfile_make_twin(f);
		if (r == 0)
			r = flush_twin(f);
		/* Somebody may have taken the hidden file away or put another one there. */
		if (r == -ENOENT || r == -EEXIST) {
			r = jsonfile_make_twin(f);
			if (r == 0)
				r = flush_twin(f);
		}
	}
	if (r < 0)
		return r;
	buf_reset(&f->waiting);
	f->n_waiting = 0;
	return 0;
}

int jsonfile_sync(struct jsonfile *f)
{
	if (fdatasync(f->fd) < 0 || fsync(f->dir_fd) < 0)
		return -errno;
	return 0;
}
