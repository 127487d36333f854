// SPDX-License-Identifier: MIT
/*
 * JSON as another program's parser reads it. Behind a header of its own, since jansson's names and
 * those of util/jw.h are in each other's way.
 */
#ifndef PM_TEST_JSONCHECK_H
#define PM_TEST_JSONCHECK_H

#include <stdbool.h>
#include <stddef.h>

/* Why this is no single JSON text without duplicate keys; NULL if it is one. The answer is
 * valid until the next call. */
const char *json_wrong(const char *text, size_t n);

/* The text in a fixed form: keys in the order of the text, no blanks. NULL if it is no JSON;
 * free() it. */
char *json_compact(const char *text, size_t n);

/* How many members or elements the outermost value has; -1 if it is no JSON. */
long json_count(const char *text, size_t n);

#endif
