// SPDX-License-Identifier: MIT
/* Names that processes give themselves may hold what a terminal obeys. */
#ifndef PM_UTIL_PRINTABLE_H
#define PM_UTIL_PRINTABLE_H

/* Puts ? in the place of each control character, those that UTF-8 writes in two bytes included. */
void printable(char *text);

#endif
