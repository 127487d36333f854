// SPDX-License-Identifier: MIT
#include "machine/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "machine/captured.h"
#include "util/cleanup.h"
#include "machine/privacy.h"

/* More is no reading, nor anything that a sensor looks at. */
#define FILE_MAX ((size_t) 1024 * 1024)
#define OPEN_DIRS_MAX 16

int copy_open(struct copy *c, const char *dir, const struct host *host, struct asked *asked)
{
	CLEANUP_DIR DIR *entries = NULL;
	const struct dirent *entry;

	*c = (struct copy) { .host = host, .asked = asked, .dir_fd = -1 };
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return -errno;
	entries = opendir(dir);
	if (!entries)
		return -errno;
	while ((entry = readdir(entries)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			return -ENOTEMPTY;
	if (faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS) < 0)
		return -errno;
	c->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return c->dir_fd < 0 ? -errno : 0;
}

/* ---- writing ------------------------------------------------------------------------------ */

static int fail(struct copy *c, const char *path, int error)
{
	if (!c->failed_at[0])
		snprintf(c->failed_at, sizeof(c->failed_at), "%s", path);
	return error;
}

/* With all directories above it. The path begins with a slash. */
static int make_dirs(struct copy *c, const char *path, bool itself)
{
	char part[600];
	size_t n = strlen(path);

	if (n >= sizeof(part))
		return fail(c, path, -ENAMETOOLONG);
	for (size_t i = 1; i <= n; i++) {
		if (path[i] != '/' && !(itself && i == n))
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdirat(c->dir_fd, part + 1, 0755) < 0 && errno != EEXIST)
			return fail(c, path, -errno);
	}
	return 0;
}

int copy_write(struct copy *c, const char *path, const struct buf *text)
{
	CLEANUP_FD int fd = -1;
	int r = make_dirs(c, path, false);

	if (r < 0)
		return r;
	fd = openat(
		c->dir_fd, path + 1, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return fail(c, path, -errno);
	for (size_t done = 0; done < text->len;) {
		ssize_t n = write(fd, text->data + done, text->len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(c, path, -errno);
		done += (size_t) n;
	}
	/* Some file systems say only now that they are full. */
	if (close(take_fd(&fd)) < 0)
		return fail(c, path, -errno);
	return 0;
}

/* ---- reading ------------------------------------------------------------------------------ */

static void append_text(struct buf *b, const char *text)
{
	buf_append(b, text, strlen(text) + 1);
}

static void leave_out(struct copy *c, const char *path, bool later, const char *reason)
{
	/* Once is enough. */
	if (later)
		return;
	append_text(&c->left_out, path);
	append_text(&c->left_out, reason);
}

static int read_all(int fd, struct buf *ret)
{
	char block[4096];

	for (;;) {
		ssize_t n = read(fd, block, sizeof(block));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : ret->failed ? -ENOMEM : 0;
		if (ret->len + (size_t) n > FILE_MAX)
			return -EFBIG;
		buf_append(ret, block, (size_t) n);
	}
}

/* What there is of a path: a text, a directory, or an error; -ENODATA for a device of
 * which nothing was told. */
static int read_path(struct copy *c, struct asked_path *what, struct buf *ret, bool *ret_dir)
{
	CLEANUP_FD int fd = -1;
	struct stat st;

	*ret_dir = false;
	if (what->text) {
		buf_str(ret, what->text);
		return 0;
	}
	fd = host_open_file(c->host, what->path);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	*ret_dir = S_ISDIR(st.st_mode);
	return *ret_dir ? 0 : S_ISREG(st.st_mode) ? read_all(fd, ret) : -ENODATA;
}

/* Also what is not there says something, and be it that the directory is. */
static int copy_parent(struct copy *c, const char *path)
{
	char parent[512];
	char *slash;

	snprintf(parent, sizeof(parent), "%s", path);
	slash = strrchr(parent, '/');
	if (!slash || slash == parent)
		return 0;
	*slash = '\0';
	/* It is kept as asked for: its own turn comes. */
	host_has(c->host, parent);
	return 0;
}

/* Whether the first reading has the same text. */
static bool is_same(const struct copy *c, const char *path, const struct buf *text)
{
	CLEANUP_FD int fd = openat(c->dir_fd, path + 1, O_RDONLY | O_CLOEXEC);
	struct buf first = BUF_INIT;
	bool same = fd >= 0 && read_all(fd, &first) == 0 && first.len == text->len &&
		memcmp(buf_text(&first), buf_text(text), text->len) == 0;

	buf_finish(&first);
	return same;
}

static int write_reading(struct copy *c, const char *path, const struct buf *text, bool later)
{
	char below[600];
	int r;

	if (text->failed)
		return fail(c, path, -ENOMEM);
	if (!later) {
		c->n_files++;
		return copy_write(c, path, text);
	}
	if (is_same(c, path, text))
		return 0;
	snprintf(below, sizeof(below), CAPTURED_LATER "%s", path);
	r = copy_write(c, below, text);
	c->n_later += r == 0;
	return r;
}

static int copy_one(struct copy *c, struct asked_path *what, bool later)
{
	struct buf text = BUF_INIT;
	char path[512];
	bool is_dir = false;
	int r;

	snprintf(path, sizeof(path), "%s", what->path);
	privacy_hide_addresses(path);
	if (privacy_is_private(path)) {
		leave_out(c, path, later, "private");
		return 0;
	}
	/* What a machine says of itself as a whole is the same a second later. */
	if (later && strncmp(path, "/proc/", 6) == 0)
		return 0;
	r = read_path(c, what, &text, &is_dir);
	if (r == -ENOENT || r == -ENOTDIR) {
		r = copy_parent(c, what->path);
	} else if (r < 0) {
		if ((r == -EACCES || r == -EPERM) && !later)
			append_text(&c->denied, path);
		leave_out(c, path, later, strerror(-r));
		r = copy_parent(c, what->path);
	} else if (is_dir) {
		r = later ? 0 : make_dirs(c, path, true);
		if (r == 0)
			r = copy_parent(c, what->path);
	} else {
		privacy_filter(path, &text);
		if (text.data && strlen(text.data) == text.len)
			privacy_hide_addresses(text.data);
		r = write_reading(c, path, &text, later);
	}
	buf_finish(&text);
	return r;
}

int copy_take(struct copy *c, bool later)
{
	int r = 0;

	/* It grows meanwhile: by directories, and by sensors that go on reading. */
	for (size_t i = 0; r == 0 && i < asked_n(c->asked); i++) {
		struct asked_path what;

		r = asked_get(c->asked, i, &what);
		if (r < 0)
			return fail(c, "", r);
		r = copy_one(c, &what, later);
		free(what.text);
	}
	return r;
}

/* ---- the rest ----------------------------------------------------------------------------- */

void copy_put_notes(const struct copy *c, struct jw *j)
{
	const char *end = c->denied.data ? c->denied.data + c->denied.len : NULL;

	jw_key(j, "denied");
	jw_open(j, '[');
	for (const char *at = c->denied.data; at < end; at += strlen(at) + 1)
		jw_string(j, at);
	jw_close(j, ']');
	jw_key(j, "left_out");
	jw_open(j, '[');
	end = c->left_out.data ? c->left_out.data + c->left_out.len : NULL;
	for (const char *at = c->left_out.data; at < end; at += strlen(at) + 1) {
		jw_open(j, '{');
		jw_kv_string(j, "path", at);
		at += strlen(at) + 1;
		jw_kv_string(j, "reason", at);
		jw_close(j, '}');
	}
	jw_close(j, ']');
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void) st;
	(void) type;
	if (ftw->level > 0)
		remove(path);
	return 0;
}

void copy_close(struct copy *c, const char *dir, bool remove)
{
	if (remove && c->dir_fd >= 0)
		nftw(dir, remove_one, OPEN_DIRS_MAX, FTW_DEPTH | FTW_PHYS);
	close_fd(&c->dir_fd);
	buf_finish(&c->denied);
	buf_finish(&c->left_out);
}
