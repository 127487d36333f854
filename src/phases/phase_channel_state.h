// SPDX-License-Identifier: MIT
/*
 * A channel as the files that make it and read it know it.
 */
#ifndef PM_PHASES_PHASE_CHANNEL_STATE_H
#define PM_PHASES_PHASE_CHANNEL_STATE_H

#include <powermeasure_phase.h>
#include <stdbool.h>
#include <stdint.h>

#include "phases/phase_channel.h"

_Static_assert(PM_PHASE_NAMES_ <= PHASES_MAX_NAMES, "a ring's names fit");
_Static_assert(PM_PHASE_RINGS_ <= PHASES_MAX_THREADS, "a thread for each ring");

/* A thread, which may have several rings: a program's own and an interpreter's, or those of the
 * programs that it executed one after the other. */
struct phase_channel_thread {
	uint64_t claim;
	uint64_t pid_ns;
	uint32_t n_rings; /* 0: this entry is free ... */
	uint64_t free_ns; /* ... since then */
};

struct phase_channel_ring {
	bool known;
	bool over; /* its thread is gone and everything was read */
	uint64_t claim;
	uint32_t claims;
	uint32_t thread;
	uint64_t next; /* the next record */
	uint64_t last_ns;
	uint64_t read_ns;  /* when it was looked at last */
	uint64_t asked_ns; /* when it was asked whether its thread is there */
	uint64_t stuck_at; /* a record that was not there yet */
	uint32_t n_names;
	uint32_t names[PM_PHASE_NAMES_]; /* their numbers here */
	uint32_t cut, unnamed;
};

struct phase_channel {
	int fd;
	char path[256];
	uint64_t own_pid_ns;
	uint64_t created_ns;
	bool used;
	bool damaged;
	struct phase_troubles troubles;
	uint32_t refused;
	char names[PHASES_MAX_NAMES][PM_PHASE_NAME_];
	uint32_t n_names;
	struct phase_channel_thread threads[PHASES_MAX_THREADS];
	struct phase_channel_ring rings[PM_PHASE_RINGS_];
	struct pm_phase_slot_ slots[PM_PHASE_RINGS_];
	struct pm_phase_record_ records[PM_PHASE_RECORDS_];
};

#endif
