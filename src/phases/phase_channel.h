// SPDX-License-Identifier: MIT
/*
 * The channel through which programs tell their phases: a file in shared memory with a ring for each
 * thread (powermeasure_phase.h has the layout), made here and read here.
 *
 * Whoever may write into it may write anything. So it is read with pread(), which a file that was cut
 * short cannot hurt, and everything in it is checked: what makes no sense is counted, and costs the
 * ring that it stands in. Nothing is written but the head, once.
 */
#ifndef PM_PHASES_PHASE_CHANNEL_H
#define PM_PHASES_PHASE_CHANNEL_H

#include <sys/types.h>

#include "phases/phases.h"

#define PHASE_CHANNEL_DIR "/dev/shm/"
#define PHASE_CHANNEL_ENV "POWERMEASURE_PHASES"

struct phase_channel;

/* path: the file, in PHASE_CHANNEL_DIR; NULL: a new name. One that a program left there that has ended
 * is replaced. owner: who may write into it. Returns 0; or -errno with the reason in words:
 * -EINVAL where the path is none, -EBUSY where somebody uses it, -EEXIST where it is something else. */
int phase_channel_create(
	struct phase_channel **ret, const char *path, uid_t owner, char *ret_why, size_t n);

/* Removes the file. Takes NULL. */
void phase_channel_destroy(struct phase_channel *c);

const char *phase_channel_path(const struct phase_channel *c);

/* Whether anybody ever marked something. */
bool phase_channel_is_used(const struct phase_channel *c);

/* Takes what came since the last call: markers between from_ns and the present. last: nobody writes
 * any more. */
void phase_channel_read(struct phase_channel *c, uint64_t from_ns, bool last,
	void (*take)(void *ctx, const struct phase_marker *m), void *ctx);

/* The name with that number: at most 63 bytes, without control characters. */
const char *phase_channel_name(const struct phase_channel *c, uint32_t name);

/* What was lost on the way, in the members that are the channel's. */
void phase_channel_troubles(const struct phase_channel *c, struct phase_troubles *ret);

#endif
