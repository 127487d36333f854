// SPDX-License-Identifier: MIT
/*
 * Figures of a few processes, gathered from a detailed record while it grows.
 */
#ifndef PM_CLI_DEMO_FOLLOW_H
#define PM_CLI_DEMO_FOLLOW_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define FIGURES_MAX_PROCESSES 4

struct process_figures {
	pid_t pid;
	char name[64];
	uint64_t t_ns;   /* of the sample that is being put together */
	uint64_t now_uw; /* its power so far: the sum over domains */
	uint64_t last_uw;
	uint64_t min_uw;
	uint64_t max_uw;
	uint64_t uj;
	uint64_t ns;
	unsigned n; /* samples */
};

struct figures {
	const char *path;
	FILE *lines;
	struct process_figures processes[FIGURES_MAX_PROCESSES];
	size_t n_processes;
	uint64_t gpu_uj;
	uint64_t gpu_ns;
	uint64_t gpu_last_uw;
	char sensor[32]; /* where the CPU's figures come from ... */
	char quality[16];
	char model[96]; /* ... and an estimate's model */
};

/* record need not exist yet; it is borrowed. */
void figures_open(struct figures *f, const char *record, const pid_t *pids, size_t n);

/* Takes the lines that were added since the last call. */
void figures_read(struct figures *f);

/* No more will come: the last sample is complete. */
void figures_finish(struct figures *f);

void figures_close(struct figures *f);

#endif
