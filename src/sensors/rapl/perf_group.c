// SPDX-License-Identifier: MIT
#include "sensors/rapl/perf_group.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/fdtext.h"
#include "util/parse.h"

static int read_pmu_file(const struct host *h, const struct perf_pmu *pmu, const char *dir,
	const char *file, char *ret, size_t n)
{
	char path[160];

	snprintf(path, sizeof(path), PERF_PMU_DIR "/%s/%s%s", pmu->name, dir, file);
	return host_read_text(h, path, ret, n);
}

/* There is but one kernel: whoever mounted its sysfs, it is the one that can be asked. */
static bool is_kernels_own(const struct host *h, const char *pmu)
{
	char path[128];
	CLEANUP_FD int fd = -1;
	struct statfs fs;

	snprintf(path, sizeof(path), PERF_PMU_DIR "/%s/type", pmu);
	fd = host_open_file(h, path);
	return fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == SYSFS_MAGIC;
}

int perf_pmu_find(const struct host *h, const char *name, struct perf_pmu *ret)
{
	struct perf_pmu pmu = { .name = name };
	char text[32];
	uint64_t type;
	int r = read_pmu_file(h, &pmu, "", "type", text, sizeof(text));

	if (r >= 0)
		r = parse_u64(text, &type);
	if (r < 0)
		return r;
	if (type > UINT32_MAX)
		return -ERANGE;
	pmu.type = (uint32_t) type;
	pmu.copied = !is_kernels_own(h, name);
	*ret = pmu;
	return 0;
}

int perf_event_find(
	const struct host *h, const struct perf_pmu *pmu, const char *name, struct perf_event *ret)
{
	struct perf_event event = { .name = name };
	char file[64], text[64];
	int r = read_pmu_file(h, pmu, "events/", name, text, sizeof(text));

	if (r < 0)
		return r;
	if (strncmp(text, "event=0x", 8) != 0)
		return -EINVAL;
	r = parse_hex_u64(text + 8, &event.config);
	if (r < 0)
		return r;
	snprintf(file, sizeof(file), "%s.unit", name);
	r = read_pmu_file(h, pmu, "events/", file, text, sizeof(text));
	if (r < 0 || strcmp(text, "Joules") != 0)
		return r < 0 ? r : -EINVAL;
	snprintf(file, sizeof(file), "%s.scale", name);
	r = read_pmu_file(h, pmu, "events/", file, text, sizeof(text));
	if (r >= 0)
		r = parse_ratio(text, 6, &event.unit_num, &event.unit_den);
	if (r < 0 || event.unit_num == 0)
		return r < 0 ? r : -EINVAL;
	*ret = event;
	return 0;
}

/* Every descriptor is read as a group: of those that joined it, or of itself alone. */
static int open_event(const struct perf_pmu *pmu, int cpu, const struct perf_event *event, int head)
{
	/* The first version of the struct has all that is needed, and every kernel takes it. */
	struct perf_event_attr attr = { .type = pmu->type,
		.size = PERF_ATTR_SIZE_VER0,
		.config = event->config,
		.read_format = PERF_FORMAT_GROUP };
	long fd = syscall(SYS_perf_event_open, &attr, -1, cpu, head, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : (int) fd;
}

static void path_of_count(
	const struct perf_pmu *pmu, int cpu, const struct perf_event *event, char *ret, size_t n)
{
	snprintf(ret, n, PERF_PMU_DIR "/%s/counts/cpu%d/%s", pmu->name, cpu, event->name);
}

static int open_count(
	const struct host *h, const struct perf_pmu *pmu, int cpu, const struct perf_event *event)
{
	char path[160];

	path_of_count(pmu, cpu, event, path, sizeof(path));
	return host_open_file(h, path);
}

int perf_group_open(const struct host *h, const struct perf_pmu *pmu, int cpu,
	const struct perf_event *events, size_t n, struct perf_group *ret)
{
	struct perf_group g = {
		.host = h, .pmu = pmu, .events = events, .cpu = cpu, .copied = pmu->copied, .n = n
	};
	size_t head = n;
	int error = -ENOENT;

	for (size_t i = 0; i < n; i++) {
		struct perf_counter *c = &g.counters[i];

		*c = (struct perf_counter) { .head = i };
		if (g.copied) {
			c->fd = open_count(h, pmu, cpu, &events[i]);
		} else if (head == n) {
			c->fd = open_event(pmu, cpu, &events[i], -1);
			if (c->fd >= 0)
				head = i;
		} else {
			c->fd = open_event(pmu, cpu, &events[i], g.counters[head].fd);
			if (c->fd >= 0)
				c->head = head;
			else
				c->fd = open_event(pmu, cpu, &events[i], -1);
		}
		if (c->fd >= 0) {
			error = 0;
			continue;
		}
		c->error = c->fd;
		c->fd = -1;
		if (error < 0)
			error = c->error;
	}
	if (error == 0)
		*ret = g;
	return error;
}

static int read_count(int fd, uint64_t *ret)
{
	char text[32];
	int n = fdtext_read(fd, text, sizeof(text));

	return n < 0 ? n : n == 0 ? -ENODEV : parse_u64(text, ret);
}

/* The values of all that joined the head, in their order. */
static void read_head(const struct perf_group *g, size_t head, uint64_t *ret, int *ret_errors)
{
	uint64_t values[1 + PERF_GROUP_MAX] = { 0 };
	size_t k = 0;
	int error = 0;
	ssize_t n;

	do
		n = read(g->counters[head].fd, values, sizeof(values));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		error = -errno;
	for (size_t i = 0; i < g->n; i++) {
		if (g->counters[i].fd < 0 || g->counters[i].head != head)
			continue;
		/* Nothing comes from an event whose CPU went away before it could be moved. */
		ret_errors[i] = error ? error : k < values[0] ? 0 : -ENODEV;
		ret[i] = values[1 + k++];
	}
}

static void tell_counts(const struct perf_group *g, const uint64_t *counts, const int *errors)
{
	for (size_t i = 0; i < g->n; i++) {
		char path[160];

		if (errors[i])
			continue;
		path_of_count(g->pmu, g->cpu, &g->events[i], path, sizeof(path));
		host_tell(g->host, path, NULL, "%" PRIu64, counts[i]);
	}
}

void perf_group_read(const struct perf_group *g, uint64_t *ret, int *ret_errors)
{
	for (size_t i = 0; i < g->n; i++) {
		if (g->counters[i].fd < 0)
			ret_errors[i] = g->counters[i].error;
		else if (g->copied)
			ret_errors[i] = read_count(g->counters[i].fd, &ret[i]);
		else if (g->counters[i].head == i)
			read_head(g, i, ret, ret_errors);
	}
	if (g->host->watch && !g->copied)
		tell_counts(g, ret, ret_errors);
}

void perf_group_close(struct perf_group *g)
{
	/* The head last: the others would go on alone for a moment. */
	for (size_t i = g->n; i-- > 0;)
		close_fd(&g->counters[i].fd);
	g->n = 0;
}
