// SPDX-License-Identifier: MIT
/*
 * The sinks together: records go into all that want them, and when these bring them into their files
 * is decided here. Tells in the log how they are doing.
 */
#ifndef PM_DAEMON_FLUSHER_H
#define PM_DAEMON_FLUSHER_H

#include "machine/clock.h"
#include "daemon/log.h"
#include "sinks/sink.h"

struct flusher {
	const struct clock *clock;
	struct sink *sinks; /* borrowed */
	size_t n_sinks;
	uint64_t sync_ns; /* records are on the disk after so long at most */
	const char *log_dir;
	int *lock_fd; /* the log directory's lock, see daemon/lock.h; borrowed */

	bool unwritten; /* records since the last flush */
	bool unsynced;
	bool sync_now;
	uint64_t last_flush_ns;
	uint64_t last_sync_ns;
	bool sick; /* the last flush failed */
	struct log_limit sick_limit;
	uint64_t told_lost;
	bool told_gone;
};

/* Hands a record to the sinks that want it. */
void flusher_write(struct flusher *f, const struct record *r);

/* What was written last is to be on the disk soon: a session ended with it. */
void flusher_hurry(struct flusher *f);

/* When the next flush or sync is due; UINT64_MAX: never. */
uint64_t flusher_due_ns(const struct flusher *f);

/* Brings everything into the files; with sync, onto the disk. */
void flusher_flush(struct flusher *f, bool sync);

/* The same if it is due. Returns whether it was. */
bool flusher_flush_if_due(struct flusher *f);

/* Turns to new files where the old ones were moved away. */
void flusher_reopen(struct flusher *f);

#endif
