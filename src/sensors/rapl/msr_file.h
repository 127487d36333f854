// SPDX-License-Identifier: MIT
/*
 * The registers of one CPU: the device /dev/cpu/N/msr, whose offset is the register's number; or
 * on a copied machine a text file in its place, with a line "611 1a2b3c" for each register, number
 * and value in hexadecimal. (A copy of the device itself could not hold two neighbours: each has
 * eight bytes.)
 */
#ifndef PM_SENSORS_RAPL_MSR_FILE_H
#define PM_SENSORS_RAPL_MSR_FILE_H

#include "machine/host.h"

struct msr_file {
	int fd; /* -1: closed */
	bool copied;
	const struct host *host;
	int cpu;
};

/* Returns 0 or -errno; then ret is closed. */
int msr_file_open(const struct host *h, int cpu, struct msr_file *ret);

/* Returns 0 or -errno: -EIO where there is no such register, -ENXIO where the CPU is offline. */
int msr_file_read(const struct msr_file *f, uint32_t msr, uint64_t *ret);

void msr_file_close(struct msr_file *f);

#endif
