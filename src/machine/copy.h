// SPDX-License-Identifier: MIT
/* Copies the paths that were asked of a host into a directory, such that the directory taken for a
 * root shows the same. */
#ifndef PM_MACHINE_COPY_H
#define PM_MACHINE_COPY_H

#include "machine/asked.h"
#include "util/jw.h"

struct copy {
	const struct host *host;
	struct asked *asked;
	int dir_fd;
	char failed_at[512]; /* what could not be written */
	size_t n_files;      /* in the first reading */
	size_t n_later;      /* that differ in the second */
	struct buf denied;   /* paths, each ended by a NUL */
	struct buf left_out; /* path and reason, each ended by a NUL */
};

/* Makes an empty directory of dir, which may exist if there is nothing in it. Returns 0 or -errno. */
int copy_open(struct copy *c, const char *dir, const struct host *host, struct asked *asked);

/* Copies all as it is now. later: only what differs, below later/. Returns 0, or -errno of writing, with
 * failed_at set; what cannot be read is noted. */
int copy_take(struct copy *c, bool later);

/* Writes a file that is no copy. Returns 0 or -errno. */
int copy_write(struct copy *c, const char *path, const struct buf *text);

/* The keys "denied" and "left_out". */
void copy_put_notes(const struct copy *c, struct jw *j);

/* remove: all that was written goes. */
void copy_close(struct copy *c, const char *dir, bool remove);

#endif
