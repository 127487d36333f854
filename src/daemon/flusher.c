// SPDX-License-Identifier: MIT
#include "daemon/flusher.h"

#include <inttypes.h>
#include <string.h>

#include "daemon/lock.h"
#include "sinks/regular.h"

/* A log file changes this often at most: about ten times a second, so that a reader who opened it
 * has a while before its file changes under it; at the end of a session sooner. */
#define FLUSH_EVERY_NS (80 * NS_PER_MS)
#define FLUSH_AT_END_NS (20 * NS_PER_MS)

/* How soon a full disk is tried again when nothing else makes us. */
#define FLUSH_RETRY_NS (5 * NS_PER_S)

static uint64_t now_ns(const struct flusher *f)
{
	return clock_mono_ns(f->clock);
}

void flusher_write(struct flusher *f, const struct record *r)
{
	for (size_t i = 0; i < f->n_sinks; i++) {
		struct sink *sink = &f->sinks[i];

		if (sink->types & (1u << r->type)) {
			sink->ops->write(sink, r);
			f->unwritten = true;
		}
	}
}

void flusher_hurry(struct flusher *f)
{
	f->unwritten = f->sync_now = true;
}

static void tell_health(struct flusher *f, const struct sink *sink, int error)
{
	uint64_t kept_back;

	if (sink->health.gone && !f->told_gone) {
		f->told_gone = true;
		log_error("the record's reader at standard output has gone: no more of it is "
			  "written, everything else goes on");
	}
	if (error && log_limited(&f->sick_limit, now_ns(f), &kept_back))
		log_error("%s: %s: %" PRIu64
			  " lines wait and are written when that is over (%" PRIu64 " lost)",
			sink->options.path, regular_strerror(-error), sink->health.waiting,
			sink->health.lost);
}

static void follow_lock(struct flusher *f)
{
	char why[512];
	uint64_t kept_back;

	if (lock_follow(f->log_dir, f->lock_fd, why, sizeof(why)) < 0 &&
		log_limited(&f->sick_limit, now_ns(f), &kept_back))
		log_error("%s", why);
}

void flusher_flush(struct flusher *f, bool sync)
{
	uint64_t lost = 0, kept_back;
	bool sick = false, slow = false;

	follow_lock(f);
	for (size_t i = 0; i < f->n_sinks; i++) {
		struct sink *sink = &f->sinks[i];
		int r = sink->ops->flush(sink, sync);

		slow |= sink->health.waiting > 0;
		tell_health(f, sink, r);
		sick |= r < 0;
		lost += sink->health.lost;
	}
	if (f->sick && !sick)
		log_info("the logs are written again, %" PRIu64 " lines were lost",
			lost - f->told_lost);
	else if (!sick && lost > f->told_lost && log_limited(&f->sick_limit, now_ns(f), &kept_back))
		log_warn("the record's reader does not keep up: %" PRIu64 " lines were left out",
			lost - f->told_lost);
	if (!sick)
		f->told_lost = lost;
	f->sick = sick;
	f->last_flush_ns = now_ns(f);
	if (f->unwritten)
		f->unsynced = true;
	f->unwritten = sick || slow;
	if (sync) {
		f->last_sync_ns = f->last_flush_ns;
		f->unsynced = sick;
		f->sync_now = false;
	}
}

uint64_t flusher_due_ns(const struct flusher *f)
{
	uint64_t due_ns = UINT64_MAX, sync_ns;

	if (f->sick)
		return f->last_flush_ns + FLUSH_RETRY_NS;
	for (size_t i = 0; i < f->n_sinks; i++) {
		uint64_t every_ns = f->sinks[i].wake_every_ns;

		if (every_ns && f->last_flush_ns + every_ns < due_ns)
			due_ns = f->last_flush_ns + every_ns;
	}
	if (f->unwritten) {
		uint64_t pause_ns = f->sync_now ? FLUSH_AT_END_NS : FLUSH_EVERY_NS;

		if (f->last_flush_ns + pause_ns < due_ns)
			due_ns = f->last_flush_ns + pause_ns;
	}
	if (f->unsynced) {
		sync_ns = f->last_sync_ns + f->sync_ns;
		if (sync_ns < due_ns)
			due_ns = sync_ns;
	}
	return due_ns;
}

bool flusher_flush_if_due(struct flusher *f)
{
	uint64_t t_ns = now_ns(f);

	if (t_ns < flusher_due_ns(f))
		return false;
	flusher_flush(f, f->sync_now || t_ns >= f->last_sync_ns + f->sync_ns);
	return true;
}

void flusher_reopen(struct flusher *f)
{
	for (size_t i = 0; i < f->n_sinks; i++) {
		struct sink *sink = &f->sinks[i];
		int r = sink->ops->reopen(sink);

		if (r < 0)
			log_error(
				"%s: cannot be opened again: %s", sink->options.path, strerror(-r));
	}
	log_info("the logs were opened again");
}
