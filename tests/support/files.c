// SPDX-License-Identifier: MIT
#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test.h"
#include "util/cleanup.h"

struct tmpdir tmpdir_make(void)
{
	const char *base = getenv("TMPDIR");
	struct tmpdir t;
	int n = snprintf(
		t.path, sizeof(t.path), "%s/pm-test-XXXXXX", base && *base ? base : "/tmp");

	if (n < 0 || (size_t) n >= sizeof(t.path) || !mkdtemp(t.path))
		fail_msg("no temporary directory %s: %s", t.path, strerror(errno));
	return t;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void) st;
	(void) type;
	(void) ftw;
	return remove(path);
}

void tmpdir_remove(const struct tmpdir *t)
{
	nftw(t->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *path_in(const char *dir, const char *name, char ret[PATH_SIZE])
{
	int n = snprintf(ret, PATH_SIZE, "%s/%s", dir, name);

	if (n < 0 || n >= PATH_SIZE)
		fail_msg("path too long: %s/%s", dir, name);
	return ret;
}

/* Makes the directories that the path goes through; with all, the last part too. */
static void make_dirs(const char *path, bool all)
{
	char part[PATH_SIZE];

	for (size_t i = 1;; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		if (path[i] == '\0' && !all)
			return;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			fail_msg("mkdir %s: %s", part, strerror(errno));
		if (path[i] == '\0')
			return;
	}
}

void dir_put(const char *dir, const char *name)
{
	char path[PATH_SIZE];

	make_dirs(path_in(dir, name, path), true);
}

void file_put_bytes(const char *dir, const char *name, const void *bytes, size_t n)
{
	char path[PATH_SIZE];
	CLEANUP_FD int fd = -1;
	const char *at = bytes;

	make_dirs(path_in(dir, name, path), false);
	/* Cut to its new length at the end rather than to nothing at the beginning: some file systems
	 * bring a file that was emptied onto the disk when it is closed. */
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	while (fd >= 0 && n > 0) {
		ssize_t done = write(fd, at, n);

		if (done < 0)
			break;
		at += done;
		n -= (size_t) done;
	}
	if (fd < 0 || n > 0 || ftruncate(fd, at - (const char *) bytes) < 0)
		fail_msg("writing %s: %s", path, strerror(errno));
}

void file_put(const char *dir, const char *name, const char *text)
{
	file_put_bytes(dir, name, text, strlen(text));
}

void link_put(const char *dir, const char *name, const char *target)
{
	char path[PATH_SIZE];

	make_dirs(path_in(dir, name, path), false);
	if (symlink(target, path) < 0)
		fail_msg("link %s: %s", path, strerror(errno));
}

char *file_get(const char *dir, const char *name, size_t *ret_n)
{
	char path[PATH_SIZE];
	CLEANUP_FD int fd = open(path_in(dir, name, path), O_RDONLY | O_CLOEXEC);
	size_t n = 0, cap = 4096;
	char *text;

	if (fd < 0)
		return NULL;
	text = malloc(cap + 1);
	for (;;) {
		ssize_t got = text ? read(fd, text + n, cap - n) : -1;

		if (got < 0)
			fail_msg("reading %s: %s", path, strerror(errno));
		if (got == 0)
			break;
		n += (size_t) got;
		if (n == cap) {
			cap *= 2;
			text = realloc(text, cap + 1);
		}
	}
	text[n] = '\0';
	if (ret_n)
		*ret_n = n;
	return text;
}

bool file_exists(const char *dir, const char *name)
{
	char path[PATH_SIZE];
	struct stat st;

	return lstat(path_in(dir, name, path), &st) == 0;
}

void file_remove(const char *dir, const char *name)
{
	char path[PATH_SIZE];

	if (unlink(path_in(dir, name, path)) < 0)
		fail_msg("removing %s: %s", path, strerror(errno));
}

size_t dir_count(const char *dir)
{
	CLEANUP_DIR DIR *d = opendir(dir);
	const struct dirent *e;
	size_t n = 0;

	if (!d)
		fail_msg("%s: %s", dir, strerror(errno));
	while ((e = readdir(d)))
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	return n;
}

void source_folder(const char *name, char ret[PATH_SIZE])
{
	/* The build system tells where the sources are. */
	path_in(PM_SOURCE_DIR, name, ret);
}
