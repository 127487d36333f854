// SPDX-License-Identifier: MIT
/*
 * Files that a command writes: with the user's rights, and not emptied before there is something to
 * put in them.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "util/asuser.h"
#include "util/cleanup.h"
#include "util/parse.h"

/* The descriptor that "-" or a name like /dev/stderr stands for, or -1. Opened by its name a file that
 * output goes to would be written from its beginning. */
static int own_fd(const char *path)
{
	uint64_t fd;

	if (strcmp(path, "-") == 0 || strcmp(path, "/dev/stdout") == 0)
		return 1;
	if (strcmp(path, "/dev/stderr") == 0)
		return 2;
	if (strncmp(path, "/dev/fd/", 8) == 0 && parse_u64(path + 8, &fd) == 0 && fd < 1024)
		return (int) fd;
	return -1;
}

int cli_open_for_writing(const char *path, int flags)
{
	int fd = own_fd(path);

	if (fd >= 0) {
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		return fd < 0 ? -errno : fd;
	}
	return asuser_open(path, O_WRONLY | O_CREAT | flags, 0666);
}

int cli_empty_file(const char *path, FILE *file)
{
	struct stat st;

	if (own_fd(path) >= 0)
		return 0;
	if (fstat(fileno(file), &st) < 0)
		return -1;
	/* A pipe has no length. */
	return S_ISREG(st.st_mode) ? ftruncate(fileno(file), 0) : 0;
}

FILE *cli_open_output(const char *path)
{
	int fd = cli_open_for_writing(path, 0);
	FILE *file;

	if (fd < 0) {
		errno = -fd;
		return NULL;
	}
	file = fdopen(fd, "w");
	if (!file)
		close_fd(&fd);
	return file;
}
