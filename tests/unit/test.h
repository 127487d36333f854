// SPDX-License-Identifier: MIT
/* What every test program begins with. */
#ifndef PM_TEST_H
#define PM_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
