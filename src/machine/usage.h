// SPDX-License-Identifier: MIT
/*
 * What the machine's CPUs did since they were first looked at, and how many there are.
 *
 * Energy is metered for whole packages, so CPUs and idle time must be those of the machine. In a
 * container /proc/stat and the list of CPUs may be files of somebody else's making (lxcfs) that show
 * the container's part alone: then CPUs are counted where no such file is put, and idle time is not
 * known.
 */
#ifndef PM_MACHINE_USAGE_H
#define PM_MACHINE_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "machine/clock.h"

/* idle_ns comes from the idle columns of /proc/stat (idle and iowait), which are exact; its user and
 * system columns are sampled and not used. */
struct host_usage {
	uint64_t t_ns;    /* when it was read; 0: never */
	uint64_t idle_ns; /* of all CPUs, since they were first looked at; see idle_known */
	uint32_t n_cpu;   /* CPUs online */
	bool idle_known; /* false: /proc/stat shows a container's CPUs alone, and idle_ns is a guess */
};

struct usage_reader {
	int stat_fd;
	int online_fd; /* the list of CPUs online; -1 where there is no /sys */
	uint64_t unit_ns;
	uint64_t base; /* idle units when it was first looked at ... */
	uint64_t last; /* ... and of the last look, the most so far */
	bool begun;
	char *text;
	size_t size;
	bool is_view;          /* /proc/stat is not the kernel's own */
	uint32_t shown_cpus;   /* of a view: how many CPUs it shows ... */
	uint32_t counted_cpus; /* ... and how many there are; 0: that is not known either */
};

/* Opens the live machine's files; unit_ns is the length of a unit of /proc/stat. Returns 0 or -errno;
 * -ENOSYS where /proc is not mounted. Takes what usage_reader_finish() takes. */
int usage_reader_init(struct usage_reader *u, uint64_t unit_ns);

/* Takes a half-made reader, too, but not one of zeros. */
void usage_reader_finish(struct usage_reader *u);

/* Reads idle time and the number of CPUs. Returns 0 or -errno; then *ret stays as it is. */
int usage_read(struct usage_reader *u, const struct clock *clock, struct host_usage *ret);

/* Counts the CPUs alone, for a fraction of the cost of the above. What cannot be counted stays. */
void usage_count_cpus(struct usage_reader *u, uint32_t *ret_n_cpu);

/* What is to be known of figures that come from a container's view; false where it is none. */
bool usage_view_note(const struct usage_reader *u, char *ret, size_t n);

/* ---- parsing ---- */

/* The idle units of all CPUs: the sum of two columns in the first line of /proc/stat. Returns 0 or
 * -EINVAL. */
int usage_parse_idle(const char *text, uint64_t *ret_units);

/* How many CPUs have a line in /proc/stat; 0 where it is no such text. */
uint32_t usage_parse_stat_cpus(const char *text);

/* "0-3,8,10-11" is 7 CPUs. Returns 0 for what is not such a list. */
uint32_t usage_parse_cpu_list(const char *text);

/* How many CPUs have a column in /proc/interrupts, by its first line; 0 where it is no such text. */
uint32_t usage_parse_interrupts(const char *text);

#endif
