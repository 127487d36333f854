// SPDX-License-Identifier: MIT
/*
 * Child processes that do what a test wants, and never outlive it.
 */
#ifndef PM_TEST_CHILD_H
#define PM_TEST_CHILD_H

#include <stdint.h>
#include <sys/types.h>

/* Runs work(ctx) in a child, which then ends with status 0. Returns its pid once it has begun;
 * it is killed when the test program ends. */
pid_t child_start(void (*work)(void *ctx), void *ctx);

/* Work: waits until it is killed. */
void child_sleep(void *ctx);

/* Work: keeps a CPU busy until it is killed. */
void child_burn(void *ctx);

/* Kills it; its zombie stays until child_reap(). */
void child_kill(pid_t pid);

/* Waits for its end and takes its zombie away. Returns the status that waitpid() gave. */
int child_reap(pid_t pid);

/* Both. */
void child_end(pid_t pid);

/* Waits until it has used so much more CPU time, however long others keep the CPUs. */
void child_wait_cpu(pid_t pid, uint64_t ns);

/* Calls look() in a child that has no right of root's. It returns 0 if all is as it should be, else the
 * line (__LINE__) that says what should be: then the test fails with it. */
void child_as_nobody(int (*look)(void));

/* Busy for so much CPU time, in the calling thread. */
void burn_cpu(uint64_t ns);

/* CPU time of the calling process so far, all threads. */
uint64_t own_cpu_ns(void);

#endif
