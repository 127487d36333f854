// SPDX-License-Identifier: MIT
#include "machine/usage.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "machine/cpulist.h"
#include "util/fdtext.h"
#include "util/u128.h"

/* Room for the first lines of /proc/stat and for any list of CPUs, which sysfs ends at a page. It
 * grows where lines are counted. */
#define TEXT_SIZE ((size_t) 8192)
#define TEXT_MAX ((size_t) 64 << 20)

/* ---- parsing ------------------------------------------------------------------------------ */

int usage_parse_idle(const char *text, uint64_t *ret_units)
{
	uint64_t idle, iowait;

	/* The columns: user nice system idle iowait ... */
	if (strncmp(text, "cpu ", 4) != 0 ||
		sscanf(text + 4, "%*u %*u %*u %" SCNu64 " %" SCNu64, &idle, &iowait) != 2 ||
		__builtin_add_overflow(idle, iowait, &idle))
		return -EINVAL;
	*ret_units = idle;
	return 0;
}

uint32_t usage_parse_stat_cpus(const char *text)
{
	uint32_t n = 0;

	if (strncmp(text, "cpu ", 4) != 0)
		return 0;
	for (;;) {
		text = strchr(text, '\n');
		if (!text || strncmp(++text, "cpu", 3) != 0)
			return n;
		n++;
	}
}

uint32_t usage_parse_cpu_list(const char *text)
{
	uint32_t n = 0;

	while (*text >= '0' && *text <= '9') {
		char *end;
		unsigned long first = strtoul(text, &end, 10), last = first;

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		if (last < first || last >= CPULIST_MAX)
			return 0;
		n += (uint32_t) (last - first + 1);
		text = *end == ',' ? end + 1 : end;
	}
	return *text == '\n' || *text == '\0' ? n : 0;
}

uint32_t usage_parse_interrupts(const char *text)
{
	uint32_t n = 0;

	text += strspn(text, " ");
	while (strncmp(text, "CPU", 3) == 0) {
		text += 3;
		text += strspn(text, "0123456789");
		text += strspn(text, " ");
		n++;
	}
	return *text == '\n' ? n : 0;
}

/* ---- reading ------------------------------------------------------------------------------ */

static bool is_on(int fd, unsigned long magic)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && (unsigned long) fs.f_type == magic;
}

/* Reads a file whole, however long it is. Returns 0 or -errno. */
static int read_whole(struct usage_reader *u, int fd)
{
	for (;;) {
		int n = fdtext_read(fd, u->text, u->size);
		char *more;

		if (n < 0)
			return n;
		if ((size_t) n < u->size - 1)
			return 0;
		if (u->size >= TEXT_MAX)
			return -EFBIG;
		more = realloc(u->text, u->size * 2);
		if (!more)
			return -ENOMEM;
		u->text = more;
		u->size *= 2;
	}
}

static uint32_t count_lines(struct usage_reader *u)
{
	return read_whole(u, u->stat_fd) == 0 ? usage_parse_stat_cpus(u->text) : 0;
}

static uint32_t count_listed(struct usage_reader *u)
{
	int n = u->online_fd < 0 ? -1 : fdtext_read(u->online_fd, u->text, u->size);

	return n > 0 ? usage_parse_cpu_list(u->text) : 0;
}

/* The header of /proc/interrupts has a column for each CPU that is online. */
static uint32_t count_columns(struct usage_reader *u)
{
	CLEANUP_FD int fd = open("/proc/interrupts", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || !is_on(fd, PROC_SUPER_MAGIC) || read_whole(u, fd) < 0)
		return 0;
	return usage_parse_interrupts(u->text);
}

/* What is put in the place of one of the two files shows a container's CPUs; the other may be the
 * kernel's. */
static void look_for_view(struct usage_reader *u)
{
	u->is_view = !is_on(u->stat_fd, PROC_SUPER_MAGIC);
	if (u->online_fd >= 0 && !is_on(u->online_fd, SYSFS_MAGIC)) {
		u->is_view = true;
		close_fd(&u->online_fd);
	}
	if (!u->is_view)
		return;
	u->shown_cpus = count_lines(u);
	u->counted_cpus = count_listed(u);
	if (u->counted_cpus == 0)
		u->counted_cpus = count_columns(u);
}

int usage_reader_init(struct usage_reader *u, uint64_t unit_ns)
{
	*u = (struct usage_reader) {
		.stat_fd = -1, .online_fd = -1, .unit_ns = unit_ns, .size = TEXT_SIZE
	};
	u->text = malloc(u->size);
	if (!u->text)
		return -ENOMEM;
	u->stat_fd = open("/proc/stat", O_RDONLY | O_CLOEXEC);
	if (u->stat_fd < 0)
		return errno == ENOENT ? -ENOSYS : -errno;
	u->online_fd = open("/sys/devices/system/cpu/online", O_RDONLY | O_CLOEXEC);
	look_for_view(u);
	return 0;
}

void usage_reader_finish(struct usage_reader *u)
{
	close_fd(&u->stat_fd);
	close_fd(&u->online_fd);
	free(u->text);
	u->text = NULL;
}

void usage_count_cpus(struct usage_reader *u, uint32_t *ret_n_cpu)
{
	uint32_t n = count_listed(u);

	if (n == 0 && u->is_view)
		n = u->counted_cpus;
	if (n == 0)
		n = count_lines(u);
	if (n > 0)
		*ret_n_cpu = n;
}

int usage_read(struct usage_reader *u, const struct clock *clock, struct host_usage *ret)
{
	struct host_usage usage = *ret;
	uint64_t units;
	int r = fdtext_read(u->stat_fd, u->text, u->size);

	if (r < 0)
		return r;
	usage.t_ns = clock_mono_ns(clock);
	r = usage_parse_idle(u->text, &units);
	if (r < 0)
		return r;
	usage_count_cpus(u, &usage.n_cpu);
	if (usage.n_cpu == 0)
		return -EINVAL;
	if (!u->begun)
		u->base = u->last = units;
	u->begun = true;
	/* The kernel's iowait may go down a little; idle time does not. */
	if (units > u->last)
		u->last = units;
	/* A machine's idle time since its start does not fit into 64 bits of nanoseconds (584 CPU
	 * years); what is used are differences, which do. */
	usage.idle_ns = (u->last - u->base) * u->unit_ns;
	usage.idle_known = !u->is_view;
	/* For a model only: the machine as busy as what is seen of it. */
	if (u->is_view && u->counted_cpus && u->shown_cpus)
		usage.idle_ns = muldiv_u64(usage.idle_ns, u->counted_cpus, u->shown_cpus);
	*ret = usage;
	return 0;
}

bool usage_view_note(const struct usage_reader *u, char *ret, size_t n)
{
	if (!u->is_view)
		return false;
	if (u->counted_cpus)
		snprintf(ret, n,
			"/proc/stat shows %" PRIu32 " of the machine's %" PRIu32
			" CPUs (a container's view): shares are of the whole machine, and idle energy "
			"is part of 'other'",
			u->shown_cpus, u->counted_cpus);
	else
		snprintf(ret, n,
			"/proc/stat shows a container's %" PRIu32
			" CPUs, and the machine's are not known: shares of its energy may be too large, "
			"and idle energy is part of 'other'",
			u->shown_cpus);
	return true;
}
