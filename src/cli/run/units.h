// SPDX-License-Identifier: MIT
/*
 * How much work a command says that it did: a pattern is looked for in each line of its standard
 * output, which is handed on as it comes.
 */
#ifndef PM_CLI_RUN_UNITS_H
#define PM_CLI_RUN_UNITS_H

#include <poll.h>
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

/* What has to be waited for before units_step(): output of the command, or room for it where ours
 * goes to, which may be read slowly. */
struct pollfd units_want(const struct units *u);

/* Copies a part, without waiting. */
void units_step(struct units *u);

/* The command has ended: what is there by now is copied yet, but not what anybody whom it left
 * behind may go on writing. */
void units_end(struct units *u);

/* Whether there is something to be copied after units_end(). */
bool units_has_more(const struct units *u);

/* Tells the sum. */
double units_finish(struct units *u);

#endif
