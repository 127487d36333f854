// SPDX-License-Identifier: MIT
/*
 * What goes wrong with a zone's file, and when. A line of ctl/KIND, or of the script with the kind
 * in front:
 *
 *   ZONE|all [at=SECONDS | read=N] [for=SECONDS | reads=N] [VALUES]
 *
 * at counts from now, read from the next read of the zone's energy_uj, which is read 1; without
 * either it begins now. It lasts for ever if nothing else is said. Kinds and their values:
 *   eio     the read fails          error=EIO (or another name)
 *   stuck   the number stands still as it was when that began
 *   vanish  the zone and its parts are not there; descriptors of before answer ENODEV for ever
 *   jump    the count goes          to=JOULES [0], or by=JOULES; with for or reads it goes back
 *   slow    a read takes longer     ms=MILLISECONDS [50], value=early|late: it is that of the
 *                                   read's begin or end; by chance if this is not said
 */
#ifndef RAPL_FS_FAULT_H
#define RAPL_FS_FAULT_H

#include "world.h"

/* What holds of a zone at a moment. */
struct effect {
	bool vanished;
	unsigned generation;
	int error; /* 0, or the read's error */
	bool stuck;
	uint64_t frozen; /* the count that is shown if it is stuck */
	uint64_t shift;  /* added to the count, modulo the register */
	uint64_t slow_ns;
	int late;
};

/* The kind's name: that of its file. */
const char *fault_name(enum fault_kind kind);

const char *fault_state_name(enum fault_state state);

/* Adds the faults of a line: one, or one for each zone. Returns 0; -EINVAL with the reason in
 * w->refused, -ENOSPC. The lock is held. */
int fault_add(struct world *w, enum fault_kind kind, const char *line, uint64_t now_ns);

/* Ends faults of a zone, or of "all", now: vanish alone, or each kind. Returns 0 or -EINVAL. */
int fault_end(struct world *w, const char *line, bool vanish_alone, uint64_t now_ns);

/* Begins and ends what is due at now_ns. The lock is held. */
void faults_advance(struct world *w, uint64_t now_ns);

/* Counts a read of the zone, and begins and ends what is due with it. The lock is held. */
void faults_count_read(struct world *w, size_t zone, uint64_t now_ns);

/* The lock is held, and faults_advance() was called. */
void fault_effect(const struct world *w, size_t zone, struct effect *ret);

#endif
