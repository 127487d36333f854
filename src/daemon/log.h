// SPDX-License-Identifier: MIT
/*
 * The program's log, on standard error: one line a message, with the time and the level; under
 * systemd with its priority prefix instead. A message that would block (a pipe that nobody reads)
 * is dropped and counted, for the log must never hold up a measurement.
 */
#ifndef PM_DAEMON_LOG_H
#define PM_DAEMON_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* "ERROR", "WARN" (or "WARNING"), "INFO", "DEBUG", in any case. Returns 0 or -EINVAL. */
int log_level_parse(const char *name, enum log_level *ret);

void log_set_level(enum log_level level);

__attribute__((format(printf, 2, 3))) void log_write(enum log_level level, const char *format, ...);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* How many lines of a level may still be written now; log_write() has one for each level. */
struct log_bucket {
	unsigned left;
	uint64_t filled_ns; /* when `left` last grew */
	uint64_t left_out;  /* lines that found it empty and are not told of yet */
	uint64_t told_ns;
};

/* Takes one line. Returns whether it is to be written, and how many were left out before it if that is to
 * be told now, else 0. */
bool log_bucket_take(struct log_bucket *b, uint64_t now_ns, uint64_t *ret_left_out);

/* For a complaint that may come in floods: true for the first few in a while, then ever more
 * rarely. *ret_kept_back is how many were swallowed since the last that was let through. */
struct log_limit {
	uint64_t next_ns;
	uint64_t pause_ns;
	uint64_t kept_back;
	unsigned in_a_row;
};
bool log_limited(struct log_limit *limit, uint64_t now_ns, uint64_t *ret_kept_back);

#endif
