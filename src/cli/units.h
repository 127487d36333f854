// SPDX-License-Identifier: MIT
/*
 * How much work a command says that it did: a pattern is looked for in each line of its standard
 * output, which is handed on as it comes.
 */
#ifndef PM_CLI_UNITS_H
#define PM_CLI_UNITS_H

#include <stdbool.h>

struct units;

/* pattern: a POSIX extended regular expression; the number in its first group is added up, without
 * a group each match is one. Returns 0, -ENOMEM, or -EINVAL with *ret_why. */
int units_create(struct units **ret, const char *pattern, char *ret_why, unsigned n_why);
void units_destroy(struct units *u);

/* What the command gets as its standard output; made anew for each run. Returns it or -errno. */
int units_prepare(struct units *u);
int units_write_fd(const struct units *u);

/* The command has it: this side is closed. */
void units_begin(struct units *u);

/* Readable when there is output to be copied. */
int units_fd(const struct units *u);

/* Copies what there is; false when nobody will write any more. */
bool units_copy(struct units *u);

/* Copies what is left, and tells the sum. What the command left behind may write on: that is copied
 * as far as it is there. */
double units_finish(struct units *u);

#endif
