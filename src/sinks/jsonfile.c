// SPDX-License-Identifier: MIT
#include "sinks/jsonfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "sinks/regular.h"
#include "sinks/jsonfile_state.h"
#include "sinks/jsontail.h"

/* ---- opening ---------------------------------------------------------------------------- */

/* The log is damaged from `good` on: its good part becomes the log, the damaged file stays. */
static int repair(struct jsonfile *f, bool usable, uint64_t good, char *note, size_t n)
{
	char aside[160];
	int fd, r;

	fd = usable ? jsonfile_make_log(f, f->hidden_names[0], f->fd, good)
		    : jsonfile_make_log(f, f->hidden_names[0], -1, 0);
	if (fd < 0)
		return fd;
	r = jsonfile_move_aside(f, "torn", aside, sizeof(aside));
	if (r == 0 && renameat(f->dir_fd, f->hidden_names[0], f->dir_fd, f->name) < 0)
		r = -errno;
	if (r < 0) {
		close(fd);
		return r;
	}
	close_fd(&f->fd);
	f->fd = fd;
	f->body = usable ? good : 1;
	if (usable)
		snprintf(note, n,
			"%s was torn: repaired to its last whole entry, the torn file is %s",
			f->name, aside);
	else
		snprintf(note, n,
			"%s was no log of this kind: a new one begins, the old file is %s", f->name,
			aside);
	return 0;
}

/* Looks at the log's head and its last bytes. */
static int look_at(struct jsonfile *f, char *note, size_t n)
{
	CLEANUP_FREE char *tail = malloc(JSONFILE_TAIL_BYTES);
	struct jsontail found;
	struct stat st;
	uint64_t size, from;
	size_t have;
	ssize_t got;
	char head;
	bool whole;
	int r;

	if (!tail)
		return -ENOMEM;
	if (fstat(f->fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	size = (uint64_t) st.st_size;
	if (size == 0) /* nothing that could be kept */
		return jsonfile_begin_empty(f);
	whole = size <= JSONFILE_TAIL_BYTES;
	from = whole ? 0 : size - JSONFILE_TAIL_BYTES;
	have = (size_t) (size - from);
	got = pread(f->fd, tail, have, (off_t) from);
	if (got < 0)
		return -errno;
	r = got == (ssize_t) have ? jsontail_find(tail, have, whole, f->bracket, &found) : -EBADMSG;
	if (r == 0 && !whole && (pread(f->fd, &head, 1, 0) != 1 || head != f->bracket))
		r = -EBADMSG;
	if (r < 0)
		found = (struct jsontail) { 0 };
	f->any = found.any;
	f->body = from + found.end;
	memcpy(f->last_key, found.key, sizeof(f->last_key));
	return found.sound ? 0 : repair(f, r == 0, f->body, note, n);
}

int jsonfile_open(struct jsonfile **ret, const char *dir, const char *name, char bracket,
	char *ret_note, size_t n)
{
	struct jsonfile *f = calloc(1, sizeof(*f));
	int r;

	*ret_note = '\0';
	if (!f)
		return -ENOMEM;
	f->fd = f->twin_fd = -1;
	f->bracket = bracket;
	snprintf(f->base, sizeof(f->base), "%s", name);
	snprintf(f->name, sizeof(f->name), "%s.json", f->base);
	for (int i = 0; i < 2; i++)
		snprintf(f->hidden_names[i], sizeof(f->hidden_names[i]), ".%s.%d", f->name, i);
	f->dir = strdup(dir);
	f->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!f->dir || f->dir_fd < 0) {
		r = -errno;
		goto fail;
	}
	f->in_place = !jsonfile_dir_has_links(f->dir_fd);
	f->fd = regular_open(f->dir_fd, f->name, O_RDWR, 0);
	if (f->fd == -EACCES && jsonfile_adopt(f) == 0)
		f->fd = regular_open(f->dir_fd, f->name, O_RDWR, 0);
	if (f->fd >= 0) {
		r = look_at(f, ret_note, n);
		if (r == 0)
			r = jsonfile_make_twin(f);
	} else {
		r = f->fd == -ENOENT ? jsonfile_begin_empty(f) : f->fd;
	}
	if (r < 0)
		goto fail;
	*ret = f;
	return 0;
fail:
	snprintf(ret_note, n, "%s/%s.json: %s", dir, name, regular_strerror(-r));
	jsonfile_close(f);
	return r;
}

const char *jsonfile_last_key(const struct jsonfile *f)
{
	return f->last_key;
}

/* ---- adding ----------------------------------------------------------------------------- */

bool jsonfile_add(struct jsonfile *f, const char *key, const char *entry, size_t n)
{
	size_t before = f->waiting.len;

	if (before + n > JSONFILE_WAIT_MAX) {
		f->n_lost++;
		return false;
	}
	if (before > 0)
		buf_str(&f->waiting, jsonfile_comma(f));
	buf_append(&f->waiting, entry, n);
	if (f->waiting.failed) {
		/* Half an entry must not reach the file, and memory may be there again later. */
		f->waiting.len = before;
		f->waiting.failed = false;
		f->n_lost++;
		return false;
	}
	f->n_waiting++;
	snprintf(f->last_key, sizeof(f->last_key), "%s", key);
	return true;
}

/* ---- beginning another one -------------------------------------------------------------- */

int jsonfile_turn_over(struct jsonfile *f)
{
	char aside[160], key[64];
	int r = jsonfile_flush(f);

	if (r < 0)
		return r;
	if (f->body <= 1 || f->last_key[0] == '\0')
		return 0;
	/* A key may come from a file that somebody else wrote. */
	snprintf(key, sizeof(key), "%s", f->last_key);
	for (char *c = key; *c; c++)
		if (*c == '/')
			*c = '_';
	jsonfile_drop_twin(f);
	r = jsonfile_move_aside(f, key, aside, sizeof(aside));
	if (r < 0)
		return r;
	r = jsonfile_begin_empty(f);
	if (r < 0) {
		if (f->in_place)
			renameat(f->dir_fd, aside, f->dir_fd, f->name);
		else
			unlinkat(f->dir_fd, aside, 0);
	}
	return r;
}

static bool has_its_name(const struct jsonfile *f)
{
	struct stat ours, there;

	return fstat(f->fd, &ours) == 0 &&
		fstatat(f->dir_fd, f->name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
		ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

/* Goes on with the file that has the log's name now. */
static int take_over(struct jsonfile *f, int fd)
{
	const struct jsonfile before = *f;
	char note[256];
	int r;

	f->fd = fd;
	r = look_at(f, note, sizeof(note));
	if (r < 0) {
		close_fd(&f->fd);
		f->fd = before.fd;
		f->body = before.body;
		f->any = before.any;
		memcpy(f->last_key, before.last_key, sizeof(f->last_key));
		return r;
	}
	close(before.fd);
	f->reserved = 0;
	return 0;
}

/* Where the directory was deleted or moved away and made again, the log goes on in the new one. */
static int follow_dir(struct jsonfile *f)
{
	struct stat ours, there;
	int fd;

	if (fstat(f->dir_fd, &ours) < 0)
		return -errno;
	if (stat(f->dir, &there) < 0)
		return ours.st_nlink == 0 ? -errno : 0;
	if (ours.st_ino == there.st_ino && ours.st_dev == there.st_dev)
		return 0;
	fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	jsonfile_drop_twin(f);
	close(f->dir_fd);
	f->dir_fd = fd;
	f->in_place = !jsonfile_dir_has_links(fd);
	return 0;
}

int jsonfile_reopen(struct jsonfile *f)
{
	char key[64];
	int fd, r = follow_dir(f);

	if (r < 0)
		return r;
	if (has_its_name(f))
		return 0;
	memcpy(key, f->last_key, sizeof(key));
	jsonfile_drop_twin(f);
	fd = regular_open(f->dir_fd, f->name, O_RDWR, 0);
	if (fd >= 0)
		r = take_over(f, fd);
	else
		r = fd == -ENOENT ? jsonfile_begin_empty(f) : fd;
	/* What waits comes later than all that is in the file. */
	if (f->waiting.len > 0)
		memcpy(f->last_key, key, sizeof(f->last_key));
	return r;
}

/* ---- asking and closing ----------------------------------------------------------------- */

uint64_t jsonfile_size(const struct jsonfile *f)
{
	return f->body + 2 + f->waiting.len;
}

uint64_t jsonfile_waiting(const struct jsonfile *f)
{
	return f->n_waiting;
}

uint64_t jsonfile_lost(const struct jsonfile *f)
{
	return f->n_lost;
}

bool jsonfile_in_place(const struct jsonfile *f)
{
	return f->in_place;
}

void jsonfile_force_in_place(struct jsonfile *f)
{
	jsonfile_drop_twin(f);
	f->in_place = true;
}

void jsonfile_close(struct jsonfile *f)
{
	if (!f)
		return;
	if (f->dir_fd >= 0 && f->fd >= 0)
		jsonfile_drop_twin(f);
	close_fd(&f->fd);
	close_fd(&f->twin_fd);
	close_fd(&f->dir_fd);
	free(f->dir);
	buf_finish(&f->recent);
	buf_finish(&f->waiting);
	buf_finish(&f->scratch);
	free(f);
}
