// SPDX-License-Identifier: MIT
/* Keeps what sensors ask of a host: which paths, with which outcome, and what they read that stands
 * in no plain file. So nobody else needs a list of files that lags behind the sensors. */
#ifndef PM_MACHINE_ASKED_H
#define PM_MACHINE_ASKED_H

#include "machine/host.h"

#define ASKED_MAX_PATHS 65536

struct asked;

/* One path, as of now; free() the text. */
struct asked_path {
	char path[512];
	int error;  /* of the last time it was asked for */
	char *text; /* what was told of it; NULL: nothing */
};

/* Returns 0 or -ENOMEM. */
int asked_create(struct asked **ret);

/* Nobody may watch with it any more. Takes NULL. */
void asked_destroy(struct asked *r);

/* For host.watch; lives as long as what it belongs to. Calls may come from any thread. */
const struct host_watch *asked_watch(const struct asked *r);

/* Paths are numbered from 0 in the order in which they were first asked for. */
size_t asked_n(struct asked *r);

/* Gives path i. Returns 0; -ENOMEM if something could not be kept. */
int asked_get(struct asked *r, size_t i, struct asked_path *ret);

#endif
