// SPDX-License-Identifier: MIT
#include "util/jsonfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/jsontail.h"

#define TAIL_BYTES (64 * 1024)
#define RESERVE_BYTES (64 * 1024)

struct jsonfile {
	int dir_fd;
	char base[32];            /* "CPU" */
	char name[64];            /* "CPU.json" */
	char hidden_names[2][64]; /* ".CPU.json.0" and ".1" */
	int hidden;               /* which of them the hidden file has now */
	char bracket;
	bool in_place;
	char last_key[64];

	int fd;        /* the file that has the log's name ... */
	uint64_t body; /* ... and its length without what closes it */
	bool any;      /* it has entries, also without those that wait */
	int twin_fd;   /* the hidden file: the log without what is in `recent` */
	uint64_t twin_body;
	struct buf recent;

	struct buf waiting; /* added and not in the log yet; no comma at either end */
	uint64_t n_waiting;
	uint64_t n_lost;
	uint64_t reserved; /* in place: bytes of the file that have room on the disk */
	struct buf scratch;
};

static const char *closing_of(const struct jsonfile *f)
{
	return f->bracket == '{' ? "}\n" : "]\n";
}

static const char *comma_of(const struct jsonfile *f)
{
	return f->bracket == '{' ? ", " : ",\n";
}

static int write_all(int fd, const char *data, size_t n, uint64_t offset)
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
	CLEANUP_FREE char *block = malloc(TAIL_BYTES);
	uint64_t at = 0;

	if (!block)
		return -ENOMEM;
	while (at < n) {
		size_t want = n - at < TAIL_BYTES ? (size_t) (n - at) : TAIL_BYTES;
		ssize_t got = pread(from, block, want, (off_t) at);
		int r;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return -EIO;
		r = write_all(to, block, (size_t) got, at);
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

/* Makes the file `name` a log of the first n bytes of `from` (-1: an empty log), and closes it in
 * the JSON sense. Returns the descriptor. */
static int make_log(const struct jsonfile *f, const char *name, int from, uint64_t n)
{
	CLEANUP_FD int fd = open_new(f, name);
	int r;

	if (fd < 0)
		return fd;
	r = from >= 0 ? copy_bytes(from, fd, n) : write_all(fd, &f->bracket, 1, 0);
	if (r == 0)
		r = write_all(fd, closing_of(f), 2, from >= 0 ? n : 1);
	if (r < 0) {
		unlinkat(f->dir_fd, name, 0);
		return r;
	}
	return take_fd(&fd);
}

static void drop_twin(struct jsonfile *f)
{
	close_fd(&f->twin_fd);
	unlinkat(f->dir_fd, f->hidden_names[0], 0);
	unlinkat(f->dir_fd, f->hidden_names[1], 0);
}

/* Makes the hidden twin of the log as it is. */
static int make_twin(struct jsonfile *f)
{
	int fd;

	drop_twin(f);
	buf_reset(&f->recent);
	if (f->in_place)
		return 0;
	f->hidden = 0;
	fd = make_log(f, f->hidden_names[0], f->fd, f->body);
	if (fd < 0)
		return fd;
	f->twin_fd = fd;
	f->twin_body = f->body;
	return 0;
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

/* ---- opening ---------------------------------------------------------------------------- */

/* Begins an empty log under the log's name, replacing nothing that is there. */
static int begin_empty(struct jsonfile *f)
{
	int fd = make_log(f, f->hidden_names[0], -1, 0);

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
	return make_twin(f);
}

/* A name beside the log that is free: "CPU.MIDDLE.json", "CPU.MIDDLE.1.json" ... */
static int move_aside(struct jsonfile *f, const char *middle, char *ret, size_t n)
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

/* The log is damaged from `good` on: its good part becomes the log, the damaged file stays. */
static int repair(struct jsonfile *f, bool usable, uint64_t good, char *note, size_t n)
{
	char aside[160];
	int fd, r;

	fd = usable ? make_log(f, f->hidden_names[0], f->fd, good)
		    : make_log(f, f->hidden_names[0], -1, 0);
	if (fd < 0)
		return fd;
	r = move_aside(f, "torn", aside, sizeof(aside));
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
	CLEANUP_FREE char *tail = malloc(TAIL_BYTES);
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
		return begin_empty(f);
	whole = size <= TAIL_BYTES;
	from = whole ? 0 : size - TAIL_BYTES;
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
	f->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->dir_fd < 0) {
		r = -errno;
		goto fail;
	}
	f->in_place = !jsonfile_dir_has_links(f->dir_fd);
	f->fd = openat(f->dir_fd, f->name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (f->fd >= 0) {
		r = look_at(f, ret_note, n);
		if (r == 0)
			r = make_twin(f);
	} else if (errno == ENOENT) {
		r = begin_empty(f);
	} else {
		r = -errno;
	}
	if (r < 0)
		goto fail;
	*ret = f;
	return 0;
fail:
	snprintf(ret_note, n, "%s/%s.json: %s", dir, name, strerror(-r));
	jsonfile_close(f);
	return r;
}

const char *jsonfile_last_key(const struct jsonfile *f)
{
	return f->last_key;
}

/* ---- writing ---------------------------------------------------------------------------- */

bool jsonfile_add(struct jsonfile *f, const char *key, const char *entry, size_t n)
{
	size_t before = f->waiting.len;

	if (before + n > JSONFILE_WAIT_MAX) {
		f->n_lost++;
		return false;
	}
	if (before > 0)
		buf_str(&f->waiting, comma_of(f));
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

/* What comes behind the log's body: the waiting entries and what closes it. */
static void put_waiting(struct jsonfile *f)
{
	if (f->any)
		buf_str(&f->scratch, comma_of(f));
	buf_append(&f->scratch, buf_text(&f->waiting), f->waiting.len);
	buf_str(&f->scratch, closing_of(f));
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
	fresh = f->scratch.len - f->recent.len - strlen(closing_of(f));
	r = write_all(f->twin_fd, f->scratch.data, f->scratch.len, f->twin_body);
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
		drop_twin(f);
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
	r = write_all(f->fd, f->scratch.data, f->scratch.len, f->body);
	if (r < 0) {
		/* What was there is put back. */
		if (write_all(f->fd, closing_of(f), 2, f->body) == 0 &&
			ftruncate(f->fd, (off_t) (f->body + 2)) < 0)
			return -errno;
		return r;
	}
	f->body = end - strlen(closing_of(f));
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
			r = make_twin(f);
		if (r == 0)
			r = flush_twin(f);
		/* Somebody may have taken the hidden file away or put another one there. */
		if (r == -ENOENT || r == -EEXIST) {
			r = make_twin(f);
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
	drop_twin(f);
	r = move_aside(f, key, aside, sizeof(aside));
	if (r < 0)
		return r;
	r = begin_empty(f);
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

int jsonfile_reopen(struct jsonfile *f)
{
	char key[64];
	int fd, r;

	if (has_its_name(f))
		return 0;
	memcpy(key, f->last_key, sizeof(key));
	drop_twin(f);
	fd = openat(f->dir_fd, f->name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0)
		r = take_over(f, fd);
	else
		r = errno == ENOENT ? begin_empty(f) : -errno;
	/* What waits comes later than all that is in the file. */
	if (f->waiting.len > 0)
		memcpy(f->last_key, key, sizeof(f->last_key));
	return r;
}

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
	drop_twin(f);
	f->in_place = true;
}

void jsonfile_close(struct jsonfile *f)
{
	if (!f)
		return;
	if (f->dir_fd >= 0 && f->fd >= 0)
		drop_twin(f);
	close_fd(&f->fd);
	close_fd(&f->twin_fd);
	close_fd(&f->dir_fd);
	buf_finish(&f->recent);
	buf_finish(&f->waiting);
	buf_finish(&f->scratch);
	free(f);
}
