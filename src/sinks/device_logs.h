// SPDX-License-Identifier: MIT
/*
 * The three growing files, one each for CPU, GPU and DRAM, of a sink that keeps its log in such:
 * how they are opened, flushed, turned over and opened again is the same whatever stands in them.
 */
#ifndef PM_SINKS_DEVICE_LOGS_H
#define PM_SINKS_DEVICE_LOGS_H

#include "sinks/sink.h"
#include "sinks/jsonfile.h"

enum { LOG_CPU, LOG_GPU, LOG_DRAM, LOG_COUNT };

struct device_logs {
	const char *const *names;          /* "CPU" for CPU.json; static */
	char bracket;                      /* see jsonfile_open() */
	struct jsonfile *files[LOG_COUNT]; /* NULL: not there yet */
	bool begun[LOG_COUNT]; /* opened or turned over: for the sink to notice, and to take back */
	bool unsynced;
	int pending_error; /* of what was done while writing, told by the next flush */
	uint64_t lost;     /* lines for which there was no file */
};

/* Opens one of the files. What there is to tell of it is appended to ret_note, also the reason of a
 * failure. Returns 0 or -errno. */
int device_logs_open(
	struct device_logs *l, const struct sink *s, int which, char *ret_note, size_t n);

/* Opens the file if it is not yet. Returns false if that fails; the line is then counted as lost. */
bool device_logs_need(struct device_logs *l, const struct sink *s, int which);

/* Adds an entry to a file that is open. */
void device_logs_add(
	struct device_logs *l, int which, const char *key, const char *entry, size_t n);

/* Turns a file over while writing. */
void device_logs_turn_over(struct device_logs *l, int which);

/* These do the work of sink_ops.flush and sink_ops.reopen; a file that is longer than the sink's
 * limit is turned over when it is flushed. */
int device_logs_flush(struct device_logs *l, struct sink *s, bool sync);
int device_logs_reopen(struct device_logs *l);

void device_logs_finish(struct device_logs *l);

#endif
