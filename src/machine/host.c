// SPDX-License-Identifier: MIT
#include "machine/host.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "machine/captured.h"
#include "util/cleanup.h"
#include "util/fdtext.h"
#include "util/rootopen.h"

/* Enough for the CPU lines of a thousand CPUs; what follows them is not needed. */
#define STAT_TEXT_MAX (128 * 1024)

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

/* The columns of a CPU line: user nice system idle iowait ... */
static int parse_idle(const char *line, uint64_t unit_ns, uint64_t *ret_ns)
{
	uint64_t idle, iowait, ns;

	if (sscanf(line, "%*u %*u %*u %" SCNu64 " %" SCNu64, &idle, &iowait) != 2)
		return -EINVAL;
	if (__builtin_add_overflow(idle, iowait, &ns) || __builtin_mul_overflow(ns, unit_ns, &ns))
		return -EINVAL;
	*ret_ns = ns;
	return 0;
}

int host_usage_parse(const char *text, uint64_t unit_ns, struct host_usage *ret)
{
	uint64_t idle_ns;
	uint32_t n_cpu = 0;
	int r;

	if (strncmp(text, "cpu ", 4) != 0)
		return -EINVAL;
	r = parse_idle(text + 4, unit_ns, &idle_ns);
	if (r < 0)
		return r;
	for (;;) {
		text = strchr(text, '\n');
		if (!text || strncmp(++text, "cpu", 3) != 0)
			break;
		n_cpu++;
	}
	if (n_cpu == 0)
		return -EINVAL;
	ret->idle_ns = idle_ns;
	ret->n_cpu = n_cpu;
	return 0;
}

int host_usage_update(struct host *h)
{
	struct host_usage usage = { 0 };
	int r = fdtext_read(h->stat_fd, h->stat_text, STAT_TEXT_MAX);

	if (r < 0)
		return r;
	usage.t_ns = host_now_ns(h);
	r = host_usage_parse(h->stat_text, h->user_hz_ns, &usage);
	if (r < 0)
		return r;
	/* The kernel's iowait may go down a little; idle time does not. */
	if (usage.idle_ns < h->usage.idle_ns)
		usage.idle_ns = h->usage.idle_ns;
	h->usage = usage;
	return 0;
}

uint32_t host_count_cpu_list(const char *text)
{
	uint32_t n = 0;

	while (*text >= '0' && *text <= '9') {
		char *end;
		unsigned long first = strtoul(text, &end, 10), last = first;

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		if (last < first || last - first > 65535)
			return 0;
		n += (uint32_t) (last - first + 1);
		text = *end == ',' ? end + 1 : end;
	}
	return *text == '\n' || *text == '\0' ? n : 0;
}

void host_count_cpus(struct host *h)
{
	char text[512];
	int n = h->online_fd < 0 ? -1 : fdtext_read(h->online_fd, text, sizeof(text));
	uint32_t n_cpu;

	if (n <= 0)
		return;
	n_cpu = host_count_cpu_list(text);
	if (n_cpu > 0)
		h->usage.n_cpu = n_cpu;
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
static void read_cpuinfo(struct host *h)
{
	CLEANUP_FD int fd = host_open_file(h, "/proc/cpuinfo");
	ssize_t n = fd < 0 ? -1 : read(fd, h->stat_text, STAT_TEXT_MAX - 1);

	h->stat_text[n > 0 ? n : 0] = '\0';
	cpuinfo_parse(h->stat_text, &h->cpu);
}

int host_init(struct host *h, const char *root, const struct clock *clock)
{
	long user_hz = sysconf(_SC_CLK_TCK);
	size_t len;
	int r;

	*h = (struct host) { .clock = clock, .root_fd = -1, .stat_fd = -1, .online_fd = -1 };
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
	h->stat_text = malloc(STAT_TEXT_MAX);
	if (!h->stat_text) {
		r = -ENOMEM;
		goto fail;
	}
	read_cpuinfo(h);
	if (!h->live)
		look_for_capture(h);
	h->stat_fd = open("/proc/stat", O_RDONLY | O_CLOEXEC);
	if (h->stat_fd < 0) {
		r = errno == ENOENT ? -ENOSYS : -errno;
		goto fail;
	}
	h->online_fd = open("/sys/devices/system/cpu/online", O_RDONLY | O_CLOEXEC);
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
	close_fd(&h->stat_fd);
	close_fd(&h->online_fd);
	free(h->stat_text);
	captured_destroy(h->captured);
	*h = (struct host) { .root_fd = -1, .stat_fd = -1, .online_fd = -1 };
}
