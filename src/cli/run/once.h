// SPDX-License-Identifier: MIT
/*
 * One command, run and measured once.
 */
#ifndef PM_CLI_RUN_ONCE_H
#define PM_CLI_RUN_ONCE_H

#include <signal.h>
#include <stdio.h>

#include "cli/instrument.h"
#include "books/measurement.h"
#include "cli/report/phase_watch.h"
#include "cli/run/units.h"
#include "target/command.h"

#define RUN_MAX_LEFT 16

/* An interval row, in the order of time. */
struct run_row {
	uint64_t end_ns; /* since the command's start */
	struct measurement figures;
};

/* Signals that would end this program are held back while a command runs, for the report must come
 * whatever happens to it. */
struct run_signals {
	sigset_t mask; /* what was blocked before, and ... */
	void (*old_sigchld)(int);
	sigset_t ignored; /* ... those that whoever started this program had ignored */
	int fd;
	int ended_by; /* one that came and that asks for the end of all runs; 0: none did */
};

struct run_options {
	char *const *argv;
	const char *user;
	uint64_t interval_ns; /* of rows; 0: none */
	bool no_stdin;
	struct units *units; /* looks for units in standard output; NULL: it is not looked at */
	struct run_signals *signals;
	/* Called at the end of each interval. */
	void (*row)(void *ctx, const struct run_row *row);
	void *ctx;
};

struct run_result {
	struct measurement figures;
	int status; /* 0 to 255, 128 + N when killed by N */
	bool cut;   /* a signal to this program ended it */
	double units;
	size_t n_left; /* processes that the command left behind, and the first of them */
	struct command_left left[RUN_MAX_LEFT];
	const char *method; /* how CPU time was counted */
	struct phase_table phases;
	char no_phases[160]; /* why none could be marked; empty: they could */
};

/* Whether a run is one to compare others with: not where it was cut short, nor where energy of it is
 * missing. */
static inline bool run_counts(const struct run_result *r)
{
	return !r->cut && !r->figures.partial;
}

/* To be called once, before all runs. Returns 0 or -errno. */
int run_hold_signals(struct run_signals *ret);
void run_signals_finish(struct run_signals *s);

/* Runs it; ret->phases is to be given back. Returns 0; CLI_RUN_FAILED, CLI_NOT_EXECUTABLE or
 * CLI_NOT_FOUND after saying on standard error what happened; or 128 + N when signal N came before it
 * could begin. */
int run_once(const struct run_options *o, const struct instrument *e, struct run_result *ret);

/* Runs a shell command beside it, with the same rights and signals. Returns its status as wait(2)
 * tells it, or -errno. */
int run_shell(const struct run_options *o, const char *text);

/* Waits. Returns false when a signal came that asks for the end of all runs. */
bool run_pause(const struct run_options *o, uint64_t ns);

#endif
