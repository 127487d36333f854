// SPDX-License-Identifier: MIT
/*
 * Files that a report is also written into. A long measurement must not end in a file that cannot
 * be written, so each is opened before the first run; what is in it stays until there is something
 * to put in its place.
 */
#ifndef PM_CLI_RUN_EXPORT_H
#define PM_CLI_RUN_EXPORT_H

#include <stdbool.h>
#include <stdio.h>

struct run_set;

enum export_format { EXPORT_JSON, EXPORT_CSV, EXPORT_MARKDOWN, EXPORT_COUNT };

struct export
{
	const char *path; /* NULL: not asked for */
	FILE *file;
	bool made; /* it was not there before */
};

/* exports[EXPORT_COUNT]: by format. Returns 0, or -1 after saying which cannot be written. */
int export_open(struct export *exports);

/* Returns 0, or -1 after saying which could not be written. */
int export_write(struct export *exports, const struct run_set *set);

/* Files that were made and not written to are removed. Takes what was not opened, too. */
void export_close(struct export *exports);

/* The document of --json. */
void export_json(const struct run_set *set, FILE *out);

/* A row a run, as RFC 4180 has it: an empty field where something is not known. */
void export_csv(const struct run_set *set, FILE *out);

/* A table, a row a command. */
void export_markdown(const struct run_set *set, FILE *out);

#endif
