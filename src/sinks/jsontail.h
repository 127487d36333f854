// SPDX-License-Identifier: MIT
/*
 * Where a JSON log ends: finds the last whole entry near the end of a log that may be torn,
 * without reading all of it.
 */
#ifndef PM_SINKS_JSONTAIL_H
#define PM_SINKS_JSONTAIL_H

#include <stdbool.h>
#include <stddef.h>

struct jsontail {
	bool sound;   /* nothing is wrong from the place where reading began to the end */
	bool any;     /* there is at least one whole entry */
	size_t end;   /* offset in the text behind the last whole entry (or the opening bracket) */
	char key[64]; /* the last whole entry's key, cut to fit; "" if there is none */
};

/* text is the log's last n bytes, or all of it (whole). bracket is '{' for one object whose
 * entries are "key": value, '[' for a list of objects with one key each. A key begins with a date,
 * which is how entries are found in the middle of a log. Returns 0, or -EBADMSG where nothing
 * like such a log is to be seen. */
int jsontail_find(const char *text, size_t n, bool whole, char bracket, struct jsontail *ret);

#endif
