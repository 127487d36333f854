// SPDX-License-Identifier: MIT
#include "sensors/rapl/msr_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/parse.h"

static void path_of(int cpu, char ret[64])
{
	snprintf(ret, 64, "/dev/cpu/%d/msr", cpu);
}

int msr_file_open(const struct host *h, int cpu, struct msr_file *ret)
{
	char path[64];
	struct stat st;

	path_of(cpu, path);
	*ret = (struct msr_file) { .fd = host_open_file(h, path), .host = h, .cpu = cpu };
	if (ret->fd < 0) {
		int error = ret->fd;

		ret->fd = -1;
		return error;
	}
	ret->copied = fstat(ret->fd, &st) == 0 && S_ISREG(st.st_mode);
	return 0;
}

static ssize_t read_at(int fd, void *ret, size_t n, off_t offset)
{
	ssize_t got;

	do
		got = pread(fd, ret, n, offset);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

static int read_copy(int fd, uint32_t msr, uint64_t *ret)
{
	char text[1024], name[16], *rest, *line;
	ssize_t n = read_at(fd, text, sizeof(text) - 1, 0);
	size_t len;

	if (n < 0)
		return (int) n;
	text[n] = '\0';
	len = (size_t) snprintf(name, sizeof(name), "%x ", msr);
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (strncmp(line, name, len) == 0)
			return parse_hex_u64(line + len, ret);
	return -EIO;
}

static void tell(const struct msr_file *f, uint32_t msr, uint64_t value)
{
	char path[64], key[16];

	path_of(f->cpu, path);
	snprintf(key, sizeof(key), "%x ", msr);
	host_tell(f->host, path, key, "%x %" PRIx64, msr, value);
}

int msr_file_read(const struct msr_file *f, uint32_t msr, uint64_t *ret)
{
	uint64_t value;
	ssize_t n;

	if (f->copied)
		return read_copy(f->fd, msr, ret);
	n = read_at(f->fd, &value, sizeof(value), msr);
	if (n != sizeof(value))
		return n < 0 ? (int) n : -EIO;
	if (f->host->watch)
		tell(f, msr, value);
	*ret = value;
	return 0;
}

void msr_file_close(struct msr_file *f)
{
	close_fd(&f->fd);
}
