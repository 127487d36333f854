// SPDX-License-Identifier: MIT
/*
 * A machine on paper: time passes, CPUs idle, targets run and domains use energy as a test says,
 * and snapshots of it are had for the asking.
 */
#ifndef PM_TEST_MACHINE_H
#define PM_TEST_MACHINE_H

#include "books/snapshot.h"

#define MACHINE_DOMAINS 8
#define MACHINE_TARGETS 64

struct machine {
	uint32_t n_cpu;
	uint64_t t_ns;
	uint64_t capacity_ns;
	uint64_t idle_ns;

	size_t n_domains;
	struct domain domains[MACHINE_DOMAINS];
	const struct domain *list[MACHINE_DOMAINS]; /* of them, as the books want it */
	struct reading readings[MACHINE_DOMAINS];   /* in the next snapshot */

	size_t n_targets;
	struct usage usages[MACHINE_TARGETS];

	/* Of the next snapshot; the last two are cleared by it. */
	uint32_t kinds;
	uint32_t ticks;
	uint64_t ordinal;
	uint32_t missed_ticks;
	uint32_t restarted;

	_Alignas(16) char block[sizeof(struct snapshot) + MACHINE_DOMAINS * sizeof(struct reading) +
		MACHINE_TARGETS * sizeof(struct usage)];
};

/* Two CPUs, no domains, time 1000 s. */
void machine_init(struct machine *m);

/* A counter in microjoules, counted, measured, updated every millisecond. Returns its index. */
size_t machine_add_domain(struct machine *m, const char *name, enum kind kind);

void machine_add_target(struct machine *m, uint32_t slot);
void machine_drop_target(struct machine *m, uint32_t slot);
struct usage *machine_target(struct machine *m, uint32_t slot);

/* Time passes, of which the CPUs idle so much (of all CPUs together). Readings become true at
 * the new time. */
void machine_pass(struct machine *m, uint64_t ns, uint64_t idle_ns);

/* A target uses CPU time, a domain energy. */
void machine_use(struct machine *m, uint32_t slot, uint64_t ns);
void machine_draw(struct machine *m, size_t domain, uint64_t uj);

/* A snapshot of the present; valid until the next one. */
struct snapshot *machine_snapshot(struct machine *m, unsigned flags);

#endif
