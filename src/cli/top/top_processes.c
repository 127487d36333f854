// SPDX-License-Identifier: MIT
#include "cli/top/top_processes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/dirscan.h"
#include "util/parse.h"
#include "target/procstat.h"
#include "util/timer.h"

#define NONE UINT32_MAX

/* So many slots are kept free with their books open: what a process used before it was seen first can
 * be given to it only where the books of its slot began before. */
#define SPARE 64

/* ---- the table ------------------------------------------------------------------------------ */

static uint32_t bucket_of(const struct top_processes *p, pid_t pid)
{
	return (uint32_t) pid * UINT32_C(2654435761) & (p->n_buckets - 1);
}

uint32_t top_processes_find(const struct top_processes *p, pid_t pid)
{
	uint32_t slot = p->n_buckets ? p->buckets[bucket_of(p, pid)] : NONE;

	while (slot != NONE && p->list[slot].pid != pid)
		slot = p->list[slot].next;
	return slot;
}

static void link_slot(struct top_processes *p, uint32_t slot)
{
	uint32_t *bucket = &p->buckets[bucket_of(p, p->list[slot].pid)];

	p->list[slot].next = *bucket;
	*bucket = slot;
}

static void unlink_slot(struct top_processes *p, uint32_t slot)
{
	uint32_t *at = &p->buckets[bucket_of(p, p->list[slot].pid)];

	while (*at != slot)
		at = &p->list[*at].next;
	*at = p->list[slot].next;
}

static int make_buckets(struct top_processes *p, uint32_t n)
{
	uint32_t *buckets = malloc(n * sizeof(*buckets));

	if (!buckets)
		return -ENOMEM;
	free(p->buckets);
	p->buckets = buckets;
	p->n_buckets = n;
	for (uint32_t i = 0; i < n; i++)
		buckets[i] = NONE;
	for (uint32_t slot = 0; slot < p->n_slots; slot++)
		if (p->list[slot].pid)
			link_slot(p, slot);
	return 0;
}

/* As many slots again as there are. */
static int grow(struct top_processes *p)
{
	uint32_t n = p->n_slots ? p->n_slots * 2 : 2 * SPARE;
	struct top_process *list;
	uint32_t *free_slots;
	int r;

	list = realloc(p->list, n * sizeof(*list));
	if (!list)
		return -ENOMEM;
	p->list = list;
	memset(list + p->n_slots, 0, (n - p->n_slots) * sizeof(*list));
	free_slots = realloc(p->free_slots, n * sizeof(*free_slots));
	if (!free_slots)
		return -ENOMEM;
	p->free_slots = free_slots;
	r = p->options.make(p->options.ctx, p->n_slots, n);
	if (r == 0)
		r = make_buckets(p, n);
	if (r < 0)
		return r;
	for (uint32_t slot = n; slot > p->n_slots && slot - 1 != TOP_ENDED_SLOT; slot--)
		p->free_slots[p->n_free++] = slot - 1;
	p->n_slots = n;
	return 0;
}

static void end(struct top_processes *p, uint32_t slot)
{
	p->options.ended(p->options.ctx, slot);
	unlink_slot(p, slot);
	p->gone_ns += p->list[slot].cpu_ns + p->list[slot].children_ns;
	p->list[slot] = (struct top_process) { 0 };
	p->n_live--;
	p->n_ended++;
	/* A slot whose old books could not be closed is given to nobody, and no other before its new
	 * ones have begun. */
	p->list[slot].closing = p->options.make(p->options.ctx, slot, slot + 1) == 0;
}

/* What was not seen is gone. */
static void sweep(struct top_processes *p)
{
	for (uint32_t slot = 0; slot < p->n_slots; slot++) {
		struct top_process *one = &p->list[slot];

		if (one->pid && one->scan != p->scan)
			end(p, slot);
		if (!one->closing)
			continue;
		one->closing = false;
		p->free_slots[p->n_free++] = slot;
	}
}

/* ---- one process ---------------------------------------------------------------------------- */

/* The form in which the kernel numbers the clocks of processes, as clock_getcpuclockid(3) does, which
 * would ask the kernel each time whether there is such a process. */
static int read_clock(pid_t pid, uint64_t *ret_ns)
{
	struct timespec ts;

	if (clock_gettime((clockid_t) (~(unsigned) pid << 3 | 2), &ts) < 0)
		return -errno;
	*ret_ns = timespec_to_ns(&ts);
	return 0;
}

static int read_stat(const struct top_processes *p, const char *pid, struct procstat *ret)
{
	CLEANUP_FD int fd = -1;
	char path[32], text[1024];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/stat", pid);
	fd = openat(p->proc_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text));
	return n < 0 ? -errno : procstat_parse(text, (size_t) n, ret);
}

/* Both may change while it runs: it executes another program, or becomes another user's. */
static void take_name(
	const struct top_processes *p, const char *pid, const char *name, struct top_process *ret)
{
	struct stat st;

	snprintf(ret->name, sizeof(ret->name), "%s", name);
	ret->uid = fstatat(p->proc_fd, pid, &st, 0) == 0 ? st.st_uid : (uid_t) -1;
}

/* Whether it began after the scan before: then all that it used was used since. */
static bool is_newborn(const struct top_processes *p, uint64_t start_ticks)
{
	uint64_t tick_ns = p->host->user_hz_ns;

	return p->scan > 1 && (start_ticks + 1) * tick_ns >= p->begun_boot_ns;
}

static int add(struct top_processes *p, pid_t pid, const char *name, uint64_t cpu_ns)
{
	struct procstat stat;
	struct top_process *one;
	uint32_t slot;
	int r;

	if (p->n_live >= TOP_MAX_PROCESSES) {
		p->too_many = true;
		return 0;
	}
	if (read_stat(p, name, &stat) < 0)
		return 0;
	if (p->n_free == 0) {
		r = grow(p);
		if (r < 0)
			return r;
	}
	slot = p->free_slots[--p->n_free];
	one = &p->list[slot];
	*one = (struct top_process) { .pid = pid,
		.start_ticks = stat.start_ticks,
		.cpu_ns = cpu_ns,
		.before_ns = is_newborn(p, stat.start_ticks) ? 0 : cpu_ns,
		.children_ns = stat.children_ticks * p->host->user_hz_ns,
		.scan = p->scan };
	one->closed_ns = one->before_ns;
	p->used_ns += one->cpu_ns - one->before_ns;
	if (is_newborn(p, stat.start_ticks))
		p->unseen_ns += (int64_t) one->children_ns;
	take_name(p, name, stat.comm, one);
	link_slot(p, slot);
	p->n_live++;
	return 0;
}

/* Who waits for a child runs to do so: then its file is read. */
static void take_children(struct top_processes *p, struct top_process *one, uint64_t children_ns)
{
	if (children_ns > one->children_ns)
		p->unseen_ns += (int64_t) (children_ns - one->children_ns);
	one->children_ns = children_ns;
}

static int look(const char *name, void *ctx)
{
	struct top_processes *p = ctx;
	struct top_process *one;
	struct procstat stat;
	uint64_t number, cpu_ns;
	uint32_t slot;

	if (*name < '1' || *name > '9' || parse_u64(name, &number) < 0 || number > INT32_MAX)
		return 0;
	if (p->options.clock((pid_t) number, &cpu_ns) < 0)
		return 0; /* it has gone meanwhile */
	slot = top_processes_find(p, (pid_t) number);
	if (slot == NONE)
		return add(p, (pid_t) number, name, cpu_ns);
	one = &p->list[slot];
	if (cpu_ns != one->cpu_ns) {
		if (read_stat(p, name, &stat) < 0)
			return 0;
		if (stat.start_ticks != one->start_ticks || cpu_ns < one->cpu_ns) {
			end(p, slot);
			return add(p, (pid_t) number, name, cpu_ns);
		}
		take_name(p, name, stat.comm, one);
		take_children(p, one, stat.children_ticks * p->host->user_hz_ns);
		p->used_ns += cpu_ns - one->cpu_ns;
		one->cpu_ns = cpu_ns;
	}
	one->scan = p->scan;
	return 0;
}

/* Gives to nobody in particular what those used that are gone and that nobody saw. It is never more than
 * there was: somebody who was hidden may have taken years. */
static void settle_unseen(struct top_processes *p, uint64_t passed_ns)
{
	uint64_t room_ns = passed_ns * p->host->usage.n_cpu;

	room_ns = room_ns > p->used_ns ? room_ns - p->used_ns : 0;
	p->unseen_ns -= (int64_t) p->gone_ns;
	if (p->unseen_ns > 0 && p->n_slots > 0) {
		uint64_t unseen_ns = (uint64_t) p->unseen_ns;

		p->list[TOP_ENDED_SLOT].cpu_ns += unseen_ns < room_ns ? unseen_ns : room_ns;
		p->unseen_ns = 0;
	}
	/* A parent may wait for its child between being looked at itself and the child's being gone: it
	 * is told at the next scan. Later it is not told any more: it may have ignored the child. */
	if (p->unseen_ns < -(int64_t) p->gone_ns)
		p->unseen_ns = -(int64_t) p->gone_ns;
	p->gone_ns = p->used_ns = 0;
}

/* ---- all of them ---------------------------------------------------------------------------- */

int top_processes_open(struct top_processes *p, const struct host *host,
	const struct top_processes_options *options)
{
	const char *proc = options->proc ? options->proc : "/proc";

	*p = (struct top_processes) { .options = *options, .host = host };
	if (!p->options.clock)
		p->options.clock = read_clock;
	p->proc_fd = open(proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return p->proc_fd < 0 ? -errno : 0;
}

void top_processes_close(struct top_processes *p)
{
	close_fd(&p->proc_fd);
	free(p->list);
	free(p->free_slots);
	free(p->buckets);
	*p = (struct top_processes) { .proc_fd = -1 };
}

int top_processes_scan(struct top_processes *p)
{
	uint64_t now_ns = clock_boot_ns(p->host->clock);
	int r;

	p->scan++;
	p->too_many = false;
	p->hidden = faccessat(p->proc_fd, "1/stat", R_OK, AT_EACCESS) < 0;
	if (lseek(p->proc_fd, 0, SEEK_SET) < 0)
		return -errno;
	r = dirscan(p->proc_fd, look, p);
	if (r == 0)
		sweep(p);
	settle_unseen(p, p->scan > 1 ? now_ns - p->begun_boot_ns : 0);
	if (r == 0 && p->n_free < SPARE && p->n_live < TOP_MAX_PROCESSES)
		r = grow(p);
	p->begun_boot_ns = now_ns;
	return r;
}
