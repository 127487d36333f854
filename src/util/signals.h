// SPDX-License-Identifier: MIT
/* Signals as messages: blocked, and read from a descriptor. */
#ifndef PM_UTIL_SIGNALS_H
#define PM_UTIL_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <sys/signalfd.h>

/* Whether it is one by which people and systems end programs: SIGINT, SIGTERM, SIGHUP, SIGQUIT. */
bool signal_ends(int signal);

/* Those of them that were not ignored when the program began: a caller that ignores one (nohup) wants
 * the program to outlive it. */
void signals_that_end(sigset_t *ret);

/* Blocks these in the calling thread and those that it makes from now on. Returns the descriptor that
 * they are read from, which is the caller's, or -errno. ret_before: the mask until now; may be NULL. */
int signals_open(const sigset_t *set, sigset_t *ret_before);

/* The next signal that came; false where none is waiting. */
bool signals_next(int fd, struct signalfd_siginfo *ret);

#endif
