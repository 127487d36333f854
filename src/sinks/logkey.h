// SPDX-License-Identifier: MIT
/*
 * Keys of the readme log: local times that strictly increase within a file.
 *
 * A local time is counted in nanoseconds as if it were UTC, so that keys compare as they look.
 */
#ifndef PM_SINKS_LOGKEY_H
#define PM_SINKS_LOGKEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct logkey {
	bool any;         /* there is a last key */
	int64_t local_ns; /* it */
};

/* Takes over a file's last key, as text; "" or nonsense begins anew. */
void logkey_begin(struct logkey *k, const char *last_key);

/* Whether the clock stands so far before the last key (more than 2 s: it was set back, or summer
 * time ended) that the file must be turned over; after that, logkey_begin(k, ""). */
bool logkey_must_turn_over(const struct logkey *k, int64_t wall_ns);

/* The next key for a line that ends at wall_ns: the whole second if that is later than the last
 * key, else the time with microseconds, at least a microsecond after the last key. */
void logkey_next(struct logkey *k, int64_t wall_ns, char *ret, size_t n);

#endif
