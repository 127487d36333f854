// SPDX-License-Identifier: MIT
/*
 * One number in a small file that is read again and again: the descriptor stays open, and a file
 * that is gone is looked for at growing intervals.
 */
#ifndef PM_UTIL_NUMFILE_H
#define PM_UTIL_NUMFILE_H

#include <stdint.h>

struct numfile {
	int fd;          /* -1: not open */
	unsigned errors; /* in a row */
	uint64_t retry_at_ns;
	uint64_t retry_after_ns;
};

#define NUMFILE_INIT     \
	{                \
		.fd = -1 \
	}

/* Reads the number. open() gives the descriptor of a file that is not open, or -errno; now_ns is the
 * present. Returns 0; -ENODATA for an empty file; -EINVAL or -ERANGE for what is no number of 64
 * bits with a sign; -ENODEV while the file is gone; or what else reading it failed with. */
int numfile_read(
	struct numfile *f, uint64_t now_ns, int (*open)(void *ctx), void *ctx, int64_t *ret);

/* The same without a struct, for a descriptor that is the caller's. */
int numfile_read_fd(int fd, int64_t *ret);

/* Takes one that is not open, too. */
void numfile_close(struct numfile *f);

#endif
