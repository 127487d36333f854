// SPDX-License-Identifier: MIT
/*
 * The machine, its sensors and a gauge on them, opened for a command that measures by itself.
 */
#ifndef PM_CLI_INSTRUMENT_H
#define PM_CLI_INSTRUMENT_H

#include "cli/cli.h"
#include "books/gauge.h"

struct engine {
	struct host *host;
	struct rig *rig;
	struct gauge *gauge;
	uint32_t tool; /* this program's own slot */
};

/* Opens the machine and its sensors, perhaps without a domain, and no gauge. Returns as below. */
int engine_open_sensors(struct engine *e, const char *command, struct cli_sensors *sensors);

/* Opens all of it. Returns CLI_DONE; or CLI_FAILED or CLI_USAGE after saying what is wrong. */
int engine_open(struct engine *e, const char *command, struct cli_sensors *sensors);

/* The same; the books tell the listener what goes on. */
int engine_open_told(struct engine *e, const char *command, struct cli_sensors *sensors,
	const struct account_listener *listener);

/* Reads, and again until every sensor has something to tell, but not for long. */
void engine_read_ready(const struct engine *e);

/* Takes a zeroed engine, too. */
void engine_close(struct engine *e);

#endif
