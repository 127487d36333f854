// SPDX-License-Identifier: MIT
/*
 * All runs of a command, or of several in turn, and the report on them.
 */
#ifndef PM_CLI_RUN_ALL_H
#define PM_CLI_RUN_ALL_H

#include "cli/cli.h"
#include "cli/run/export.h"

struct run_command {
	const char *name; /* NULL: it has none, and is the only one */
	const char *text; /* what /bin/sh gets; NULL: argv is the user's own */
	char *const *argv;
	char *shell[4]; /* what argv points to where there is a text */
};

struct run_plan {
	struct cli_sensors sensors;
	struct run_command *commands;
	size_t n_commands;
	uint64_t n_runs; /* of each */
	uint64_t n_warmups;
	uint64_t interval_ns;
	uint64_t cooldown_ns;
	uint64_t units;  /* in millionths, of each run */
	uint64_t max_uj; /* what the mean run may use; 0: no matter */
	const char *units_regex;
	const char *user;
	const char *pre;
	const char *post;
	const char *output;
	struct export exports[EXPORT_COUNT];
	bool ignore_failure;
	bool json;
	/* While options are read: whether commands have names, and that of the next one. */
	bool named;
	const char *next_name;
};

/* Makes them and tells. Returns the process's exit status. */
int runs_make(struct run_plan *p);

#endif
