// SPDX-License-Identifier: MIT
/*
 * The command line: what its commands share.
 */
#ifndef PM_CLI_CLI_H
#define PM_CLI_CLI_H

#include <stdbool.h>
#include <stdio.h>

#include "cli/opt.h"
#include "meter/rig.h"
#include "daemon/plugin.h"
#include "meter/sensorlist.h"

/* What commands exit with. `run` passes on its command's status, and has those of env(1) for its own
 * faults, so that they stand apart. */
enum cli_status {
	CLI_DONE = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
	CLI_OVER = 3,         /* over a budget, or worse than before */
	CLI_UNDECIDED = 4,    /* the figures' bounds do not decide which it is */
	CLI_RUN_FAILED = 125, /* before the command began, or after it ended */
	CLI_NOT_EXECUTABLE = 126,
	CLI_NOT_FOUND = 127,
};

extern const struct cli_command command_capture, command_compare, command_doctor, command_list,
	command_plugin, command_run, command_send, command_stat, command_top;

/* Says what is wrong with the command line and where help is. Returns CLI_USAGE. */
__attribute__((format(printf, 2, 3))) int cli_usage(const char *command, const char *format, ...);

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

/* The rows of these options, for a command whose struct has a struct cli_sensors. */
#define CLI_SENSOR_ROWS(struct_, member_)                                                           \
	OPT_HEADING("Which sensors"),                                                               \
		OPT_CALL(0, "sensors", "LIST", cli_take_sensors,                                    \
			"use only these: names with commas, as `powermeasure list` shows them; "    \
			"nothing is estimated without `estimate` in it; sim and sim:FILE simulate", \
			.field = offsetof(struct_, member_)),                                       \
		OPT_CALL(0, "gpu", "UUID|INDEX", cli_take_gpu,                                      \
			"use only this GPU; repeat for more [all]",                                 \
			.field = offsetof(struct_, member_)),                                       \
		OPT_CALL(0, "estimate-watts", "IDLE:FULL", cli_take_estimate_watts,                 \
			"set the watts that the estimate gives to each CPU, idle and busy",         \
			.field = offsetof(struct_, member_)),                                       \
		OPT_TEXT(0, "root", "DIR", struct_, member_.root,                                   \
			"read /sys and /proc/cpuinfo below DIR: a captured machine, or a "          \
			"container's view of its host")

/* For these rows: field is the struct cli_sensors. */
int cli_take_sensors(void *field, const char *text, char *ret_why, size_t why_size);
int cli_take_gpu(void *field, const char *text, char *ret_why, size_t why_size);
int cli_take_estimate_watts(void *field, const char *text, char *ret_why, size_t why_size);

/* The options as rig_open() wants them; s must stay where it is. */
struct rig_options cli_rig_options(struct cli_sensors *s);

/* Opens a file that a command is told to write, as it is; - and /dev/stdout, /dev/stderr and /dev/fd/N
 * are the descriptors. flags: more of open(2)'s. Returns the descriptor or -errno. */
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

/* The words of --monitor-types, by enum monitor_types. */
extern const char *const cli_monitor_types[];

/* Variables of the environment that are not an option's value as they stand (those are in its row). */
enum cli_variable {
	CLI_ENGINE_HOST,
	CLI_ENGINE_PORT,
	CLI_LOG_LEVEL,
	CLI_SELF_TEST,
	CLI_VARIABLES,
};

extern const char *const cli_variables[CLI_VARIABLES];

/* An environment variable that is set and not empty, or NULL. */
const char *cli_env(const char *name);

/* Where logs go: the directory that was given (NULL: ~/logs), with a "~" at its beginning as the home
 * directory. Returns NULL where there is no home. */
const char *cli_log_dir(const char *given, char *buffer, size_t n);

/* The address where a plugin listens or an engine is: $POWER_MEASURING_PLUGIN_HOST and _PORT.
 * *ret_engine tells whether the host is set. Returns NULL, after saying why, for a bad port. */
const char *cli_default_address(char *buffer, size_t n, bool *ret_engine);

#endif
