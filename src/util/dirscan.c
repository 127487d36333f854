// SPDX-License-Identifier: MIT
#include "util/dirscan.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What getdents64(2) fills in; the C library has no name for it that older ones know. */
struct entry {
	uint64_t inode;
	int64_t offset;
	unsigned short length;
	unsigned char type;
	char name[];
};

int dirscan(int dir_fd, int (*each)(const char *name, void *ctx), void *ctx)
{
	_Alignas(struct entry) char block[4096];

	for (;;) {
		long n = syscall(SYS_getdents64, dir_fd, block, sizeof(block));

		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		for (long at = 0; at < n;) {
			const struct entry *e = (const struct entry *) (const void *) (block + at);
			int r;

			at += e->length;
			if (strcmp(e->name, ".") == 0 || strcmp(e->name, "..") == 0)
				continue;
			r = each(e->name, ctx);
			if (r != 0)
				return r;
		}
	}
}
