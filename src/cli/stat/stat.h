// SPDX-License-Identifier: MIT
/*
 * What stat was asked for and where it stands: its options (cmd_stat.c) fill the plan, its targets
 * (stat_targets.c) are followed (stat.c) and told of (stat_report.c, stat_record.c).
 */
#ifndef PM_CLI_STAT_STAT_H
#define PM_CLI_STAT_STAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "cli/cli.h"
#include "cli/instrument.h"
#include "cli/report/report.h"
#include "cli/run/once.h"
#include "sinks/sink.h"

#define STAT_MAX_TARGETS 1024

struct stat_plan {
	struct cli_sensors sensors;
	pid_t pids[STAT_MAX_TARGETS];
	size_t n_pids;
	const char *groups[STAT_MAX_TARGETS];
	size_t n_groups;
	bool all;
	bool tree;
	bool json;
	uint64_t duration_ns;
	uint64_t interval_ns;
	const char *output; /* a file, or "-"; NULL: standard error */
	const char *phases; /* the channel's file; NULL: none */
	const char *record; /* a file, or "-"; NULL: none is written */
};

/* What is known of a target once it may be gone. */
struct stat_target {
	uint32_t slot;
	pid_t pid; /* 0: a control group */
	char name[64];
	bool ended;
};

struct stat_state {
	struct stat_plan *plan;
	struct instrument instrument;
	struct run_signals signals;
	struct stat_target *whos;
	size_t n_whos;
	struct measurement_base *whole;
	struct measurement_base *rows;
	uint64_t begin_ns;
	uint64_t row_ns;
	uint64_t step_ns;
	int timer;
	struct run_row *kept; /* for JSON */
	size_t n_kept;
	size_t cap_kept;
	bool head;
	struct phase_watch phases;
	struct phase_table phase_table;
	struct warnings warnings;
	FILE *out;
	struct sink record;
	bool record_told; /* that it cannot be written */
	int64_t wall_offset_ns;
};

/* The detailed record (docs/record.md): opened before the sensors, written as the books tell it, brought
 * into its file after each reading. Returns a cli_ status, said if not done. */
int stat_record_open(struct stat_state *s);
void stat_record_flush(struct stat_state *s);
void stat_record_close(struct stat_state *s);

/* For the books; ctx is the struct stat_state. */
void stat_record_slice(void *ctx, const struct slice *slice);

/* Opens what the plan names and puts it into the gauge. Returns a cli_ status, said if not done. */
int stat_add_targets(struct stat_state *s);

/* Ends the row that began with the last one, or with the measurement. */
void stat_end_row(struct stat_state *s, bool last);

/* Writes the summary, and the last row before it. Returns a cli_ status, said if not done. */
int stat_tell(struct stat_state *s);

/* Measures as planned, from opening the sensors to the summary. Returns a cli_ status, said if not
 * done. */
int stat_measure(struct stat_plan *p);

#endif
