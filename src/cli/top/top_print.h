// SPDX-License-Identifier: MIT
/*
 * What `top` tells without a terminal: a table, or one JSON object a refresh (docs/top.schema.json).
 */
#ifndef PM_CLI_TOP_TOP_PRINT_H
#define PM_CLI_TOP_TOP_PRINT_H

#include <stdio.h>

#include "cli/top/top_rows.h"

/* n: so many rows at most. */
void top_report_text(const struct top_model *m, const struct top_rows *rows, size_t n, FILE *out);

/* On one line. */
void top_report_json(const struct top_model *m, const struct top_rows *rows, size_t n, FILE *out);

/* How sure a domain's power is, in a word: "measured", "ESTIMATED", ... */
const char *top_quality(const struct top_domain *d);

/* ... and the machine's: empty where all of it is measured. */
const char *top_machine_quality(const struct top_model *m);

/* Watts or joules from millionths, "n/a" where they are not known. */
const char *top_figure(bool known, uint64_t micro, char *ret, size_t n);

/* CPU time that was used of all that there was, in parts per million; false: not known. */
bool top_busy_ppm(const struct top_model *m, uint64_t *ret);

/* The tool's own CPU time, in parts per million of one CPU. */
uint64_t top_tool_ppm(const struct top_model *m);

/* What is wrong with the list of processes; false: nothing is. */
bool top_warning(const struct top_model *m, char *ret, size_t n);

/* What a GPU's sensor calls it, else the domain's name. */
const char *top_domain_name(const struct top_domain *d);

#endif
