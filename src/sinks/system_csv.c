// SPDX-License-Identifier: MIT
/*
 * system_measurements.csv of camera-traps: the machine's load, memory and disk, a row a second,
 * every field quoted.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "machine/clock.h"
#include "machine/host.h"
#include "sinks/sink.h"
#include "util/cleanup.h"
#include "sinks/regular.h"
#include "util/timestamp.h"

#define ROW_EVERY_NS NS_PER_S

static const char header[] = "\"readable_time\",\"cpu_percent\",\"mem_total\",\"mem_avail\","
			     "\"mem_percent_used\",\"disk_total\",\"disk_free\",\"disk_percent\"\n";

struct system_csv {
	int fd;
	struct host host;
	uint64_t last_row_ns;
	struct host_usage before;
};

/* Whole or not at all: on a full disk, too, what follows begins a line. */
static int put(int fd, const char *text, size_t n)
{
	ssize_t done = write(fd, text, n);
	struct stat st;

	if (done < 0)
		return -errno;
	if ((size_t) done == n)
		return 0;
	if (fstat(fd, &st) == 0 && st.st_size >= done && ftruncate(fd, st.st_size - done) < 0)
		return -errno;
	return -ENOSPC;
}

static int open_csv(const char *dir)
{
	char path[4352];
	CLEANUP_FD int fd = -1;
	struct stat st;
	char last;
	int r = 0;

	snprintf(path, sizeof(path), "%s/system_measurements.csv", dir);
	fd = regular_open(AT_FDCWD, path, O_RDWR | O_CREAT | O_APPEND, 0644);
	if (fd == -EACCES) {
		char aside[4400];

		/* Of a program that ran as root here before: it stays, under another name. */
		snprintf(aside, sizeof(aside), "%s.%lld", path, (long long) time(NULL));
		if (rename(path, aside) == 0)
			fd = regular_open(AT_FDCWD, path, O_RDWR | O_CREAT | O_APPEND, 0644);
	}
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size == 0)
		r = put(fd, header, sizeof(header) - 1);
	else if (pread(fd, &last, 1, st.st_size - 1) == 1 && last != '\n')
		r = put(fd, "\n", 1); /* a row that a power cut tore */
	return r < 0 ? r : take_fd(&fd);
}

static int csv_open(struct sink *s, char *ret_why, size_t n)
{
	struct system_csv *state = s->state = calloc(1, sizeof(*state));
	int r;

	*ret_why = '\0';
	if (!state)
		return -ENOMEM;
	s->wake_every_ns = ROW_EVERY_NS;
	state->fd = -1;
	r = host_init(&state->host, NULL, &clock_system);
	if (r < 0)
		return r;
	state->before = state->host.usage;
	state->fd = open_csv(s->options.path);
	if (state->fd < 0)
		snprintf(ret_why, n, "%s/system_measurements.csv: %s", s->options.path,
			regular_strerror(-state->fd));
	return state->fd < 0 ? state->fd : 0;
}

static void csv_write(struct sink *s, const struct record *r)
{
	(void) s;
	(void) r;
}

/* "MemTotal:       24731272 kB" */
static uint64_t memory_bytes(const char *text, const char *key)
{
	const char *at = strstr(text, key);
	uint64_t kib = 0;

	if (!at || sscanf(at + strlen(key), " %" SCNu64, &kib) != 1)
		return 0;
	return kib * 1024;
}

static double busy_percent(struct system_csv *state)
{
	const struct host_usage *now = &state->host.usage;
	uint64_t capacity_ns, idle_ns;

	if (host_usage_update(&state->host) < 0 || now->t_ns <= state->before.t_ns)
		return 0;
	capacity_ns = (now->t_ns - state->before.t_ns) * now->n_cpu;
	idle_ns = now->idle_ns - state->before.idle_ns;
	state->before = *now;
	return idle_ns < capacity_ns
		? 100.0 * (double) (capacity_ns - idle_ns) / (double) capacity_ns
		: 0;
}

static int write_row(struct system_csv *state)
{
	char time[TIMESTAMP_MAX], memory[4096] = "", row[512];
	uint64_t total, available, disk_total = 0, disk_free = 0;
	struct statvfs disk;
	int n;

	timestamp_local_second(clock_wall_ns(&clock_system), time, sizeof(time));
	if (host_read_text(&state->host, "/proc/meminfo", memory, sizeof(memory)) < 0)
		memory[0] = '\0';
	total = memory_bytes(memory, "MemTotal:");
	available = memory_bytes(memory, "MemAvailable:");
	if (statvfs("/", &disk) == 0) {
		disk_total = (uint64_t) disk.f_blocks * disk.f_frsize;
		disk_free = (uint64_t) disk.f_bavail * disk.f_frsize;
	}
	n = snprintf(row, sizeof(row),
		"\"%s\",\"%.1f\",\"%" PRIu64 "\",\"%" PRIu64 "\",\"%.1f\",\"%" PRIu64
		"\",\"%" PRIu64 "\",\"%.1f\"\n",
		time, busy_percent(state), total, available,
		total ? 100.0 * (double) (total - available) / (double) total : 0, disk_total,
		disk_free,
		disk_total ? 100.0 * (double) (disk_total - disk_free) / (double) disk_total : 0);
	return put(state->fd, row, (size_t) n);
}

static int csv_reopen(struct sink *s)
{
	struct system_csv *state = s->state;
	int fd = open_csv(s->options.path);

	if (fd < 0)
		return fd;
	close(state->fd);
	state->fd = fd;
	return 0;
}

static bool is_deleted(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_nlink == 0;
}

static int csv_flush(struct sink *s, bool sync)
{
	struct system_csv *state = s->state;
	uint64_t now_ns = host_now_ns(&state->host);

	(void) sync;
	/* A little early is on time: the wake-ups are a second apart. */
	if (now_ns < state->last_row_ns + ROW_EVERY_NS * 9 / 10)
		return 0;
	state->last_row_ns = now_ns;
	s->health.error = is_deleted(state->fd) ? csv_reopen(s) : 0;
	if (s->health.error == 0)
		s->health.error = write_row(state);
	return s->health.error;
}

static void csv_close(struct sink *s)
{
	struct system_csv *state = s->state;

	if (!state)
		return;
	close_fd(&state->fd);
	host_finish(&state->host);
	free(state);
	s->state = NULL;
}

const struct sink_ops sink_system_csv = {
	.name = "system-csv",
	.open = csv_open,
	.write = csv_write,
	.flush = csv_flush,
	.reopen = csv_reopen,
	.close = csv_close,
};
