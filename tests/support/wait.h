// SPDX-License-Identifier: MIT
/*
 * Waiting for something to become true: looked at again and again until a deadline, never by
 * sleeping for as long as it should take. PM_PATIENCE stretches deadlines where all is slower.
 */
#ifndef PM_TEST_WAIT_H
#define PM_TEST_WAIT_H

#include <stdbool.h>
#include <stdint.h>

/* Returns whether it became true before waiting was given up. */
bool wait_until(bool (*is_so)(void *ctx), void *ctx);

/* Monotonic time, and the time after which waiting is given up. */
uint64_t wait_now_ns(void);
uint64_t wait_deadline_ns(void);

/* The pause between two looks. */
void wait_a_little(void);

#endif
