// SPDX-License-Identifier: MIT
/*
 * The files: those of /sys/class/powercap as the kernel's intel_rapl driver shows them, those of
 * this machine that a program started with this as its root needs besides, and ctl/ and truth/.
 */
#ifndef RAPL_FS_TREE_H
#define RAPL_FS_TREE_H

#include <jansson.h>

#include "world.h"

#define NODES_MAX 4096

enum node_type {
	NODE_DIR,
	NODE_LINK,   /* text: where it leads */
	NODE_TEXT,   /* text */
	NODE_ENERGY, /* of zone */
	NODE_THERE,  /* the text of this machine's file of the same path */
	NODE_FAULT,  /* ctl/KIND */
	NODE_BACK,   /* ctl/back */
	NODE_CLEAR,  /* ctl/clear */
	NODE_LOAD,   /* ctl/load */
	NODE_STATUS, /* ctl/status */
	NODE_TRUTH,  /* truth/T; no node stands for it */
};

struct node {
	char *path; /* owned, as is text; "/sys/class" */
	enum node_type type;
	unsigned mode;
	size_t zone; /* NO_ZONE: there whatever happens; else while that zone is */
	enum fault_kind fault;
	char *text;
};

struct tree {
	struct node nodes[NODES_MAX]; /* a directory before what is in it */
	size_t n;
};

/* Makes all nodes. files: path to text, or NULL. Returns 0, or -ENOMEM, -ENOSPC, -EINVAL. */
int tree_create(const struct world *w, const json_t *files, struct tree **ret);

void tree_destroy(struct tree *t);

/* NULL if there is none. Whether its zone is there is not looked at. */
const struct node *tree_find(const struct tree *t, const char *path);

/* The last part of a node's path if the node is directly in the directory, else NULL. */
const char *tree_name_in(const struct node *node, const char *dir);

#endif
