// SPDX-License-Identifier: MIT
/*
 * All processes of the machine and the CPU time of each, at a cost that allows for thousands of them
 * once a second: no descriptor is kept for any, and of most nothing is read but the clock. Its file in
 * /proc is read when a process is new, and again whenever its clock has moved: whoever used no CPU time
 * needs no second look, and a pid that was given to another process is found before that gets anything.
 */
#ifndef PM_CLI_TOP_TOP_PROCESSES_H
#define PM_CLI_TOP_TOP_PROCESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "machine/host.h"

/* More are not looked at. */
#define TOP_MAX_PROCESSES 131072

/* Nobody's: what those used that are gone, as far as their parents were told when they waited for them
 * and nobody got it while they lived. */
#define TOP_ENDED_SLOT 0

struct top_process {
	pid_t pid;    /* 0: the slot is free */
	bool closing; /* ... from the end of this scan on */
	uint64_t start_ticks;
	uid_t uid;
	char name[64];
	uint64_t cpu_ns;      /* its clock */
	uint64_t before_ns;   /* its clock when it was found: used before anybody looked */
	uint64_t children_ns; /* of children that it waited for, and theirs */
	uint64_t closed_ns;   /* its clock when figures were made last */
	uint64_t busy_ppm;    /* of one CPU, between the last two figures */
	uint64_t total_uj;    /* since it was found, or since joules were set back */
	uint64_t scan;        /* the last one that saw it */
	uint32_t next;        /* in its bucket */
};

struct top_processes_options {
	const char *proc; /* NULL: /proc */
	/* CPU time of a process: 0 or -errno. NULL: its clock. */
	int (*clock)(pid_t pid, uint64_t *ret_ns);
	/* Slots [from, to) are to have books, or one is to have new ones. Returns 0 or -ENOMEM. */
	int (*make)(void *ctx, uint32_t from, uint32_t to);
	/* A process is gone; its slot is still filled. */
	void (*ended)(void *ctx, uint32_t slot);
	void *ctx;
};

struct top_processes {
	struct top_processes_options options;
	const struct host *host;
	int proc_fd;
	struct top_process *list; /* by slot */
	uint32_t n_slots;
	uint32_t n_live;
	uint32_t *free_slots;
	uint32_t n_free;
	uint32_t *buckets;
	uint32_t n_buckets;
	uint64_t scan;
	uint64_t begun_boot_ns; /* of the last scan */
	uint64_t n_ended;
	int64_t unseen_ns; /* of those that are gone: what their parents were told less what was seen */
	uint64_t gone_ns; /* ... which in this scan was so much */
	uint64_t used_ns; /* by those that are there, since the last scan */
	bool hidden;      /* others' processes are not shown */
	bool too_many;    /* some were left out */
};

/* host is borrowed. Returns 0 or -errno. */
int top_processes_open(struct top_processes *p, const struct host *host,
	const struct top_processes_options *options);
void top_processes_close(struct top_processes *p);

/* Looks at all of them. Returns 0 or -errno. */
int top_processes_scan(struct top_processes *p);

/* The slot of a process; UINT32_MAX: there is none. */
uint32_t top_processes_find(const struct top_processes *p, pid_t pid);

#endif
