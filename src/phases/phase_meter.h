// SPDX-License-Identifier: MIT
/*
 * Phases of targets: what the books say at each reading, as the series that phases.h puts markers
 * into. Two tracks a domain: all of it, and the targets' part.
 */
#ifndef PM_PHASES_PHASE_METER_H
#define PM_PHASES_PHASE_METER_H

#include "books/account.h"
#include "phases/phases.h"

struct phase_meter;

struct phase_meter_options {
	const struct account *account;       /* borrowed */
	const struct domain *const *domains; /* borrowed; as the books have them */
	size_t n_domains;
	const uint32_t *slots; /* of the targets, which are taken together; copied */
	size_t n_slots;
	uint64_t tick_ns; /* how stale a CPU clock may be */
};

/* Begins at begin_ns with the books as they are. Returns 0 or -ENOMEM. */
int phase_meter_create(
	struct phase_meter **ret, const struct phase_meter_options *options, uint64_t begin_ns);
void phase_meter_destroy(struct phase_meter *m);

/* For phase_channel_read(). */
void phase_meter_mark(void *meter, const struct phase_marker *marker);

/* To be called after a snapshot was entered, and markers were read, at now_ns. */
void phase_meter_look(struct phase_meter *m, uint64_t now_ns);

/* The same for the last time; then the figures are there. */
void phase_meter_finish(struct phase_meter *m, uint64_t end_ns);

const struct phases *phase_meter_phases(const struct phase_meter *m);

/* What all counted domains of a kind used during a name's phases, or the targets of that. */
void phase_meter_energy(const struct phase_meter *m, uint32_t name, enum kind kind, bool targets,
	struct phase_energy *ret);

#endif
