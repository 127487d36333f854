// SPDX-License-Identifier: MIT
/* Names that processes give themselves may hold what a terminal obeys. */
#ifndef PM_UTIL_PRINTABLE_H
#define PM_UTIL_PRINTABLE_H

#include <stddef.h>

/* Copies text into ret[0 .. n), cut to what fits, with ? in the place of each control character, of
 * those that turn the direction of writing, and of bytes that are no UTF-8. ret may be text itself. */
void printable_copy(const char *text, char *ret, size_t n);

/* The same in place. */
void printable(char *text);

#endif
