// SPDX-License-Identifier: MIT
#include "machine/host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "machine/captured.h"
#include "util/cleanup.h"
#include "util/fdtext.h"
#include "util/rootopen.h"

/* Room for the first processors of /proc/cpuinfo. */
#define CPUINFO_TEXT_MAX (64 * 1024)

static int open_quietly(const struct host *h, const char *path, int flags)
{
	int fd;

	while (*path == '/')
		path++;
	if (*path == '\0')
		path = ".";
	flags |= O_CLOEXEC;
	if (!h->live)
		return root_open(h->root_fd, path, flags);
	fd = openat(h->root_fd, path, flags);
	return fd < 0 ? -errno : fd;
}

static int open_below(const struct host *h, const char *path, int flags)
{
	bool denied = h->captured && captured_is_denied(h->captured, path);
	int r = denied ? -EACCES : open_quietly(h, path, flags);

	if (h->watch)
		h->watch->asked(h->watch->ctx, path, r < 0 ? r : 0);
	return r;
}

/* In place of a file's own descriptor, where the copy has a later reading of it. */
static int open_captured(const struct host *h, const char *path, int fd)
{
	char later[512];
	CLEANUP_FD int first_fd = fd;
	CLEANUP_FD int later_fd = -1;
	int r;

	snprintf(later, sizeof(later), CAPTURED_LATER "/%s", path);
	later_fd = open_quietly(h, later, O_RDONLY);
	if (later_fd < 0)
		return take_fd(&first_fd);
	r = captured_open_file(h->captured, path, first_fd, later_fd);
	/* A directory, or a text that is too long to be a reading. */
	return r == -EISDIR || r == -EFBIG ? take_fd(&first_fd) : r;
}

int host_open_file(const struct host *h, const char *path)
{
	int fd = open_below(h, path, O_RDONLY);

	return fd >= 0 && h->captured ? open_captured(h, path, fd) : fd;
}

void host_tell(const struct host *h, const char *path, const char *key, const char *format, ...)
{
	char text[2048];
	va_list args;

	if (!h->watch)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	h->watch->told(h->watch->ctx, path, key, text);
}

void host_turn(const struct host *h, bool later)
{
	if (h->captured)
		captured_turn(h->captured, later);
}

DIR *host_open_dir(const struct host *h, const char *path)
{
	CLEANUP_FD int fd = open_below(h, path, O_RDONLY | O_DIRECTORY);
	DIR *dir;

	if (fd < 0) {
		errno = -fd;
		return NULL;
	}
	dir = fdopendir(fd);
	if (dir)
		take_fd(&fd);
	return dir;
}

bool host_has(const struct host *h, const char *path)
{
	CLEANUP_FD int fd = open_below(h, path, O_PATH);

	return fd >= 0;
}

int host_read_text(const struct host *h, const char *path, char *ret, size_t n)
{
	CLEANUP_FD int fd = host_open_file(h, path);
	size_t len = 0;

	if (fd < 0)
		return fd;
	for (;;) {
		ssize_t got;

		if (len == n)
			return -E2BIG;
		got = read(fd, ret + len, n - len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		len += (size_t) got;
	}
	while (len > 0 && (ret[len - 1] == '\n' || ret[len - 1] == '\0'))
		len--;
	ret[len] = '\0';
	return (int) len;
}

int host_usage_update(struct host *h)
{
	return usage_read(&h->usage_reader, h->clock, &h->usage);
}

void host_count_cpus(struct host *h)
{
	usage_count_cpus(&h->usage_reader, &h->usage.n_cpu);
}

/* Whether the root is known to be another machine's. A copied tree may lack the files that tell. */
static bool is_foreign(const struct host *h)
{
	char theirs[4096], ours[64] = "";
	int r = host_read_text(h, "/proc/sys/kernel/random/boot_id", theirs, sizeof(theirs));
	CLEANUP_FD int fd = -1;
	uint32_t n_cpu;

	if (h->live)
		return false;
	if (r > 0) {
		fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && fdtext_read(fd, ours, sizeof(ours)) > 0)
			return strncmp(theirs, ours, strcspn(ours, "\n")) != 0;
	}
	if (host_read_text(h, "/sys/devices/system/cpu/online", theirs, sizeof(theirs)) <= 0)
		return false;
	n_cpu = usage_parse_cpu_list(theirs);
	return n_cpu > 0 && n_cpu != h->usage.n_cpu;
}

bool host_scope_note(const struct host *h, char *ret, size_t n)
{
	if (h->captured || is_foreign(h)) {
		snprintf(ret, n,
			"energy is of the machine in '%s', CPU time and processes are this machine's",
			h->root);
		return true;
	}
	return usage_view_note(&h->usage_reader, ret, n);
}

/* The coarse clocks move once a tick, so their resolution is the tick's period. */
static uint64_t tick_period_ns(void)
{
	struct timespec ts;

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &ts) < 0 || ts.tv_sec != 0 || ts.tv_nsec <= 0)
		return 10 * NS_PER_MS;
	return (uint64_t) ts.tv_nsec;
}

/* What is no copy with two readings is a tree like any other. */
static void look_for_capture(struct host *h)
{
	CLEANUP_FREE char *text = malloc(CAPTURED_JSON_MAX);

	if (text && host_read_text(h, CAPTURED_JSON, text, CAPTURED_JSON_MAX) > 0)
		captured_create(&h->captured, text);
}

/* The first processor's block is at the beginning; a file that cannot be read tells nothing. */
static int read_cpuinfo(struct host *h)
{
	CLEANUP_FREE char *text = malloc(CPUINFO_TEXT_MAX);
	CLEANUP_FD int fd = -1;
	ssize_t n;

	if (!text)
		return -ENOMEM;
	fd = host_open_file(h, "/proc/cpuinfo");
	n = fd < 0 ? -1 : read(fd, text, CPUINFO_TEXT_MAX - 1);
	text[n > 0 ? n : 0] = '\0';
	cpuinfo_parse(text, &h->cpu);
	return 0;
}

int host_init(struct host *h, const char *root, const struct clock *clock)
{
	long user_hz = sysconf(_SC_CLK_TCK);
	size_t len;
	int r;

	*h = (struct host) {
		.clock = clock, .root_fd = -1, .usage_reader = { .stat_fd = -1, .online_fd = -1 }
	};
	if (!root || *root == '\0')
		root = "/";
	len = strlen(root);
	while (len > 1 && root[len - 1] == '/')
		len--;
	if (len >= sizeof(h->root))
		return -ENAMETOOLONG;
	memcpy(h->root, root, len);
	h->live = strcmp(h->root, "/") == 0;
	h->tick_ns = tick_period_ns();
	h->user_hz_ns = NS_PER_S / (uint64_t) (user_hz > 0 ? user_hz : 100);

	h->root_fd = open(h->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (h->root_fd < 0)
		return -errno;
	r = read_cpuinfo(h);
	if (r < 0)
		goto fail;
	if (!h->live)
		look_for_capture(h);
	r = usage_reader_init(&h->usage_reader, h->user_hz_ns);
	if (r < 0)
		goto fail;
	r = host_usage_update(h);
	if (r < 0)
		goto fail;
	return 0;
fail:
	host_finish(h);
	return r;
}

void host_finish(struct host *h)
{
	if (!h->clock)
		return;
	close_fd(&h->root_fd);
	usage_reader_finish(&h->usage_reader);
	captured_destroy(h->captured);
	*h = (struct host) { .root_fd = -1 };
}
