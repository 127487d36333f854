// SPDX-License-Identifier: MIT
/* Figures for people. */
#ifndef PM_UTIL_FORMAT_H
#define PM_UTIL_FORMAT_H

#include <stddef.h>
#include <stdint.h>

/* A number of millionths with the decimals that it deserves: "0.00482", "8.37", "1234". */
void format_micro(uint64_t value, char *ret, size_t n);

/* "500 ms", "60 s": a period in the unit that fits. */
void format_period(uint64_t ns, char *ret, size_t n);

#endif
