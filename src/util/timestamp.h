// SPDX-License-Identifier: MIT
/*
 * Wall-clock time as text, both ways. A wall time is nanoseconds since 1970 UTC in an int64_t,
 * which reaches from 1677 to 2262; texts outside are clamped to those ends.
 */
#ifndef PM_UTIL_TIMESTAMP_H
#define PM_UTIL_TIMESTAMP_H

#include <stddef.h>
#include <stdint.h>

#define TIMESTAMP_MAX 40 /* room for any of the forms below, with the NUL */

/* "2023-08-25 05:50:59": local time, rounded down to the second. */
void timestamp_local_second(int64_t wall_ns, char *ret, size_t n);

/* "2023-08-25 05:50:59.500000": local time, rounded down to the microsecond. */
void timestamp_local_micro(int64_t wall_ns, char *ret, size_t n);

/* "2023-08-25T05:50:59.500000+02:00": RFC 3339, local time with its offset. */
void timestamp_rfc3339(int64_t wall_ns, char *ret, size_t n);

/* "2023-08-25T03:50:59.500000": UTC without a mark, as the event bus writes it. */
void timestamp_utc_naive(int64_t wall_ns, char *ret, size_t n);

/* Reads RFC 3339 ("2026-11-22T10:28:37.376716+00:00", "...Z") or the same without an offset, which
 * means UTC; 'T' may be 't' or a blank, the fraction has 1 to 9 digits that count. n bytes.
 * Returns 0, or -EINVAL if this is no time. */
int timestamp_parse(const char *text, size_t n, int64_t *ret_wall_ns);

#endif
