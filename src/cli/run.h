// SPDX-License-Identifier: MIT
/*
 * One command, run and measured once.
 */
#ifndef PM_CLI_RUN_H
#define PM_CLI_RUN_H

#include <signal.h>
#include <stdio.h>

#include "cli/engine.h"
#include "cli/measurement.h"
#include "cli/units.h"
#include "core/command.h"

#define RUN_MAX_LEFT 16

/* An interval row, in the order of time. */
struct run_row {
	uint64_t end_ns; /* since the command's start */
	struct measurement figures;
};

struct run_options {
	char *const *argv;
	const char *user;
	uint64_t interval_ns; /* of rows; 0: none */
	bool no_stdin;
	struct units *units;  /* looks for units in standard output; NULL: it is not looked at */
	const sigset_t *mask; /* signal mask and SIGCHLD that the command starts with */
	void (*old_sigchld)(int);
	int signal_fd; /* of the signals that are blocked meanwhile */
	/* Called at the end of each interval. */
	void (*row)(void *ctx, const struct run_row *row);
	void *ctx;
};

struct run_result {
	struct measurement figures;
	int status; /* 0 to 255, 128 + N when killed by N */
	double units;
	size_t n_left; /* processes that the command left behind, the first of them named */
	struct command_left left[RUN_MAX_LEFT];
	const char *method; /* how CPU time was counted */
};

enum { RUN_FAILED = 125, RUN_NOT_EXECUTABLE = 126, RUN_NOT_FOUND = 127 };

/* What has to be set up once for all runs: signals that would end this program are held back, for
 * the report must come whatever happens to the command. Returns the descriptor, or -errno. */
int run_hold_signals(sigset_t *ret_mask, void (**ret_old_sigchld)(int));

/* Runs it. Returns 0; or RUN_FAILED, RUN_NOT_EXECUTABLE or RUN_NOT_FOUND after saying on standard
 * error what happened. */
int run_once(const struct run_options *o, const struct engine *e, struct run_result *ret);

#endif
