// SPDX-License-Identifier: MIT
/*
 * The command line: what its commands share.
 */
#ifndef PM_CLI_CLI_H
#define PM_CLI_CLI_H

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>

#include "meter/rig.h"
#include "daemon/plugin.h"
#include "meter/sensorlist.h"

enum {
	CLI_DONE = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
	CLI_OVER = 3, /* over a budget, or worse than before */
};

/* Each command gets its own name as argv[0] and returns the process's exit status. */
int cmd_plugin(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_compare(int argc, char **argv);
int cmd_stat(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_send(int argc, char **argv);
int cmd_capture(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_demo(int argc, char **argv);

/* Says what is wrong with the command line and where help is. Returns CLI_USAGE. */
__attribute__((format(printf, 2, 3))) int cli_usage(const char *command, const char *format, ...);

/* The next option of the command line: one of getopt_long()'s letters (which begin with "+:") or of
 * the table; -1 at its end, or CLI_OPT_BAD after saying what is wrong. */
int cli_next_option(const char *command, int argc, char **argv, const char *letters,
	const struct option *options);

/* Says on standard error what failed. Returns CLI_FAILED. */
__attribute__((format(printf, 2, 3))) int cli_fail(const char *command, const char *format, ...);

/* The options that say which sensors to use, the same for all commands. */
#define CLI_MAX_GPUS 64

struct cli_sensors {
	const char *root;
	struct sensorlist list; /* no names: all that fit */
	const char *gpus[CLI_MAX_GPUS];
	struct sensor_options options;
};

#define CLI_OPT_BAD '?'

enum cli_sensor_option {
	CLI_OPT_ROOT = 0x100,
	CLI_OPT_SENSORS,
	CLI_OPT_GPU,
	CLI_OPT_ESTIMATE_WATTS,
	CLI_OPT_NEXT, /* commands number their own options from here */
};

/* For the table of getopt_long(). */
#define CLI_SENSOR_OPTIONS                                                        \
	{ "root", required_argument, NULL, CLI_OPT_ROOT },                        \
		{ "sensors", required_argument, NULL, CLI_OPT_SENSORS },          \
		{ "gpu", required_argument, NULL, CLI_OPT_GPU },                  \
	{                                                                         \
		"estimate-watts", required_argument, NULL, CLI_OPT_ESTIMATE_WATTS \
	}

#define CLI_SENSOR_HELP                                                                           \
	"Which sensors:\n"                                                                        \
	"  --sensors LIST     names with commas, as `powermeasure list` shows them; without\n"    \
	"                     `estimate` in it nothing is estimated; sim and sim:FILE simulate\n" \
	"  --gpu UUID|INDEX   only this GPU (may be given again; default: all)\n"                 \
	"  --estimate-watts IDLE:FULL\n"                                                          \
	"                     what each CPU draws, for the estimate\n"                            \
	"  --root DIR         read /sys and /proc/cpuinfo below DIR (a captured machine, or a\n"  \
	"                     container's view of its host)\n"

/* Takes one of these options. Returns CLI_DONE, or CLI_USAGE after saying what is wrong. */
int cli_take_sensor_option(
	struct cli_sensors *s, const char *command, int option, const char *argument);

/* The options as rig_open() wants them; s must stay where it is. */
struct rig_options cli_rig_options(struct cli_sensors *s);

/* Opens a file that a command is told to write, as it is; /dev/stdout, /dev/stderr and /dev/fd/N are the
 * descriptors. flags: more of open(2)'s. Returns the descriptor or -errno. */
int cli_open_for_writing(const char *path, int flags);
/* The same as a stream; NULL and errno. */
FILE *cli_open_output(const char *path);
/* Makes such a file empty, where it is a file: before the first thing is written. Returns 0, or -1 and
 * errno. */
int cli_empty_file(const char *path, FILE *file);

/* Open the machine below root (NULL: this one), and its sensors. Return CLI_DONE; or CLI_FAILED or
 * CLI_USAGE after saying, in the command's name, what is wrong. */
int cli_open_host(struct host *ret, const char *command, const char *root);
int cli_open_rig(struct rig **ret, struct host *host, const char *command,
	const struct rig_options *options);

/* "readme" or "events". Returns false for anything else. */
bool cli_monitor_types(const char *name, enum monitor_types *ret);

/* An environment variable that is set and not empty, or NULL. */
const char *cli_env(const char *name);

/* Where logs go if nobody says: $TRAPS_POWER_LOG_PATH, else logs in the home directory. Returns
 * NULL where there is no home. */
const char *cli_default_log_dir(char *buffer, size_t n);

/* The address where a plugin listens or an engine is: $POWER_MEASURING_PLUGIN_HOST and _PORT.
 * *ret_engine tells whether the host is set. Returns NULL, after saying why, for a bad port. */
const char *cli_default_address(char *buffer, size_t n, bool *ret_engine);

#endif
