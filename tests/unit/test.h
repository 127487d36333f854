// SPDX-License-Identifier: MIT
/* What every test program begins with. */
#ifndef PM_TEST_H
#define PM_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* Whether another processor is emulated (PM_EMULATED is set): then /proc/self is made up in part,
 * and newer system calls are not there. */
static inline bool is_emulated(void)
{
	return getenv("PM_EMULATED") != NULL;
}

#endif
