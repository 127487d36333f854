// SPDX-License-Identifier: MIT
/*
 * A document that `run --json` wrote, read again.
 */
#ifndef PM_CLI_COMPARE_SAVED_H
#define PM_CLI_COMPARE_SAVED_H

#include "cli/compare/side.h"

#define SAVED_MAX_SENSORS 64

/* Where figures of a kind came from. */
struct saved_sensor {
	enum kind kind;
	const char *name;
	const char *quality;
};

struct saved {
	const char *path;
	void *document; /* what the strings belong to */
	long long exit_status;
	struct side *commands;
	char **names; /* those that were put together from a command's words; else NULL */
	size_t n;
	struct saved_sensor sensors[SAVED_MAX_SENSORS]; /* each once, in order */
	size_t n_sensors;
	const char *models[SIDE_KINDS]; /* behind an estimate; NULL: none is told */
	bool tells_scales;
};

/* Returns 0, or -1 after saying on standard error what is wrong and where. */
int saved_read(struct saved *ret, const char *path);
void saved_finish(struct saved *s);

/* Whether what was told of these kinds came from the same sensors and models. */
bool saved_same_sensors(const struct saved *a, const struct saved *b, uint32_t kinds);

/* "rapl-perf (CPU, measured), estimate (DRAM, estimated)". */
void saved_sensor_list(const struct saved *s, char *ret, size_t n);

#endif
