// SPDX-License-Identifier: MIT
/*
 * What `run` and `stat` tell: as text for people, or as one JSON document (docs/run.schema.json).
 */
#ifndef PM_CLI_REPORT_REPORT_H
#define PM_CLI_REPORT_REPORT_H

#include <stdio.h>

#include "cli/run/once.h"
#include "util/buf.h"

struct jw; /* util/jw.h, whose names are partly those of jansson.h */

#define REPORT_MAX_WARNINGS 32
#define REPORT_ATTRIBUTION "capacity-share"

/* Sentences about what to beware of, each told once. */
struct warnings {
	char text[REPORT_MAX_WARNINGS][320];
	size_t n;
};

__attribute__((format(printf, 2, 3))) void warnings_add(
	struct warnings *w, const char *format, ...);

/* Looks through figures for what makes them doubtful. interval_ns: of rows that were asked for. */
void warnings_judge(struct warnings *w, const struct rig *rig, const struct measurement *m,
	uint64_t interval_ns);

/* Whether others kept the CPUs busy meanwhile. Returns how many CPUs; 0: no. */
double warnings_judge_idle(struct warnings *w, const struct measurement *m);

struct run_record {
	struct run_result result;
	struct warnings warnings;
	struct run_row *rows;
	size_t n_rows;
	size_t cap_rows;
};

/* All runs of a command. */
struct run_report {
	const struct rig *rig;
	const char *name; /* NULL: it has none */
	const char *text; /* what a shell was given; NULL: it was executed as it is */
	char *const *argv;
	struct run_record *runs;
	size_t n_runs;
	size_t n_counted;          /* of these; where none is one to compare with, all */
	struct measurement total;  /* over all runs that are counted */
	struct phase_table phases; /* over all runs */
	int exit_status;
	double units; /* over all runs; 0: not asked for */
	const char
		*verdict; /* "within", "over" or "undecided" by --max-joules; NULL: not asked for */
	struct warnings warnings;
};

/* All commands that were run in turn, or one that has a name. */
struct run_set {
	const struct rig *rig;
	struct run_report *reports;
	size_t n;
	bool named;      /* else there is one command, and the report is on that alone */
	int exit_status; /* of the first run of all that failed */
	const struct comparison *comparison; /* of several; NULL: there is none */
	struct warnings warnings;
};

void report_runs_text(const struct run_report *r, FILE *out);
void report_runs_json(const struct run_report *r, FILE *out);
void report_set_text(const struct run_set *set, FILE *out);
void report_set_json(const struct run_set *set, FILE *out);

/* The report on a command without where its figures come from and what to beware of; the command
 * alone; members of an open JSON object: the versions, the command with its status, and what stands
 * behind its figures, from statistics on; and a finished document, followed by a line's end. */
void report_command_text(const struct run_report *r, FILE *out);
void report_command_line(const struct run_report *r, FILE *out);
void report_json_command(struct jw *j, const struct run_report *r);
void report_json_runs(struct jw *j, const struct run_report *r);
void report_json_head(struct jw *j);
void report_json_print(const struct buf *b, FILE *out);

/* The head of the columns that report_row() fills, and one row. asked: as in
 * report_figures(). */
void report_row_head(const struct rig *rig, const char *asked, FILE *out);
void report_row(const struct rig *rig, const struct run_row *row, bool with_asked, FILE *out);

/* The parts that `stat` has, too: the table of a measurement; where the figures come from; what to
 * beware of; and the same as members of an open JSON object. asked: what the column is called;
 * NULL where nobody was asked about. */
void report_figures(const struct measurement *m, const char *asked, FILE *out);
void report_one(pid_t pid, const char *name, const struct measurement *m, FILE *out);
void report_sources(const struct rig *rig, const struct measurement *m, FILE *out);
void report_warnings(const struct warnings *w, FILE *out);
void report_phases(const struct phase_table *r, const char *asked, FILE *out);
void report_phases_warnings(struct warnings *w, const struct phase_table *r);
void report_json_figures(
	struct jw *j, const struct rig *rig, const struct measurement *m, const char *asked);
void report_json_one(struct jw *j, const struct measurement *m);
void report_json_sensors(struct jw *j, const struct rig *rig, const struct measurement *m);
/* By how much of its energy each kind's scale, the same in all runs, may be off. */
void report_json_scales(struct jw *j, const struct rig *rig, const struct measurement *m);
void report_json_warnings(struct jw *j, const struct warnings *w);
void report_json_rows(struct jw *j, const struct run_row *rows, size_t n);

#endif
