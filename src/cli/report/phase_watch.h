// SPDX-License-Identifier: MIT
/*
 * The phases that programs mark while a command measures them: channel, meter and report.
 */
#ifndef PM_CLI_REPORT_PHASE_WATCH_H
#define PM_CLI_REPORT_PHASE_WATCH_H

#include "cli/instrument.h"
#include "phases/phase_table.h"

/* While phases are marked everything is read this often. */
#define PHASE_WATCH_STEP_NS (10 * NS_PER_MS)

struct phase_watch {
	struct phase_channel *channel; /* NULL: there is none, and nothing is watched */
	struct phase_meter *meter;
	const struct instrument *instrument;
	uint64_t begin_ns;
	/* Whether a process's phases are asked for; NULL: everybody's. */
	bool (*wants)(void *ctx, pid_t pid);
	void *ctx;
	enum { PHASE_WATCH_NEW, PHASE_WATCH_WANTED, PHASE_WATCH_NOT } threads[PHASES_MAX_THREADS];
	uint64_t n_unwanted; /* markers */
};

/* path, owner, return and reason as in phase_channel_create(). */
int phase_watch_open(struct phase_watch *w, const char *path, uid_t owner, char *ret_why, size_t n);
void phase_watch_close(struct phase_watch *w);

/* slots[0 .. n) are what is asked about. Begins at the gauge's last reading. Returns 0 or -ENOMEM. */
int phase_watch_begin(
	struct phase_watch *w, const struct instrument *e, const uint32_t *slots, size_t n);

/* To be called after a reading. Returns whether anybody marks phases. */
bool phase_watch_look(struct phase_watch *w);

/* The same for the last reading, when nobody marks any more; *ret is to be given back with
 * phase_table_finish(). */
int phase_watch_end(struct phase_watch *w, struct phase_table *ret);

#endif
