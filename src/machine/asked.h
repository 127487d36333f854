// SPDX-License-Identifier: MIT
/* Keeps what sensors ask of a host: which paths, with which outcome, and what they read that stands
 * in no plain file. So nobody else needs a list of files that lags behind the sensors. */
#ifndef PM_MACHINE_ASKED_H
#define PM_MACHINE_ASKED_H

#include "machine/host.h"

#define RECORDER_MAX_PATHS 65536

struct recorder;

/* One path, as of now; free() the text. */
struct recorded {
	char path[512];
	int error;  /* of the last time it was asked for */
	char *text; /* what was told of it; NULL: nothing */
};

/* Returns 0 or -ENOMEM. */
int recorder_create(struct recorder **ret);

/* Nobody may watch with it any more. Takes NULL. */
void recorder_destroy(struct recorder *r);

/* For host.watch; lives as long as the recorder. Calls may come from any thread. */
const struct host_watch *recorder_watch(const struct recorder *r);

/* Paths are numbered from 0 in the order in which they were first asked for. */
size_t recorder_n(struct recorder *r);

/* Gives path i. Returns 0; -ENOMEM if something could not be kept. */
int recorder_get(struct recorder *r, size_t i, struct recorded *ret);

#endif
