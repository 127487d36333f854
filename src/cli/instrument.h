// SPDX-License-Identifier: MIT
/*
 * The machine, its sensors and a gauge on them, opened for a command that measures by itself.
 */
#ifndef PM_CLI_INSTRUMENT_H
#define PM_CLI_INSTRUMENT_H

#include "cli/cli.h"
#include "books/gauge.h"

struct instrument {
	struct host *host;
	struct rig *rig;
	struct gauge *gauge;
	uint32_t tool; /* this program's own slot */
};

/* Opens the machine and its sensors, perhaps without a domain, and no gauge. Returns as below. */
int instrument_open_sensors(struct instrument *e, const char *command, struct cli_sensors *sensors);

/* Opens all of it. Returns CLI_DONE; or CLI_FAILED or CLI_USAGE after saying what is wrong. */
int instrument_open(struct instrument *e, const char *command, struct cli_sensors *sensors);

/* The same; the books tell the watcher what goes on. */
int instrument_open_told(struct instrument *e, const char *command, struct cli_sensors *sensors,
	const struct account_watcher *watcher);

/* Reads, and again until every sensor has something to tell, but not for long. */
void instrument_read_ready(const struct instrument *e);

/* Takes a zeroed instrument, too. */
void instrument_close(struct instrument *e);

#endif
