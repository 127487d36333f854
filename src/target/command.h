// SPDX-License-Identifier: MIT
/*
 * A command that is started in order to be measured, with everything that it starts.
 *
 * Its CPU time is exact to the end where a control group of its own can be made (as root, or below
 * a delegated group). Else the process becomes the reaper of all orphans below it, and what each
 * process used is known when it is waited for; only children whose parent ignores them (SIGCHLD
 * ignored) are known from perf events alone, which miss some tens of microseconds of each.
 */
#ifndef PM_TARGET_COMMAND_H
#define PM_TARGET_COMMAND_H

#include <signal.h>

#include "target/target.h"

struct command_options {
	char *const *argv;        /* ended by NULL */
	const char *user;         /* to run as; NULL: the same */
	bool no_stdin;            /* /dev/null instead */
	int stdout_fd;            /* instead of standard output; -1: the same */
	const sigset_t *mask;     /* the signal mask that it starts with */
	void (*old_sigchld)(int); /* what SIGCHLD was set to */
	char **environment;       /* ended by NULL; NULL: this program's */
	bool no_cgroup;           /* for tests: as if none could be made */
};

struct command;

/* A process that the command left behind. */
struct command_left {
	pid_t pid;
	char name[64];
};

/* Makes the command's process, which waits. Returns 0; or -errno with *ret_what saying what could
 * not be done: -ENOENT where there is no such user, -EPERM where only root may become another. */
int command_create(struct command **ret, const struct command_options *o, const char **ret_what);

/* Kills what was not released, and gives everything back. Takes NULL. */
void command_destroy(struct command *c);

pid_t command_pid(const struct command *c);

/* Makes the command a target, to be added to a gauge before it is released; the command must
 * outlive it. Returns 0 or -errno. */
int command_target(struct command *c, struct target *ret);

/* Lets it run. Returns 0, or the -errno with which it could not be executed: it has ended then. */
int command_release(struct command *c);

/* Takes in which of the processes have ended; to be called at each SIGCHLD. Returns true when the
 * command itself has: what it left behind is not waited for. */
bool command_reap(struct command *c);

/* As wait(2) tells it, once command_reap() said so. */
int command_status(const struct command *c);

/* Processes that the command started and that still run. Returns how many there are; ret[0 .. n)
 * gets the first of them. */
size_t command_left(const struct command *c, struct command_left *ret, size_t n);

/* How CPU time is counted, for people: "control group", ... */
const char *command_method(const struct command *c);

/* For a new process before it executes something: what this program was given for reading sensors
 * is not the user's, neither rights that pass through exec nor those of a set-user-id or
 * set-group-id file. Returns 0 or -errno. */
int command_drop_rights(void);

#endif
