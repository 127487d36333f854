// SPDX-License-Identifier: MIT
/* The tree as a file system: what is opened, read and written. */
#ifndef RAPL_FS_FS_H
#define RAPL_FS_FS_H

#define FUSE_USE_VERSION 31
#include <fuse.h>

#include "tree.h"
#include "world.h"

struct fs {
	struct world *world;
	const struct tree *tree;
};

/* The operations; private data is a struct fs. */
extern const struct fuse_operations fs_operations;

#endif
