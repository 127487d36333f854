// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/cli.h"
#include "daemon/log.h"
#include "util/cleanup.h"
#include "util/parse.h"

/* Who this plugin is in the stock configuration of the event engine. */
#define PLUGIN_NAME "ext_power_monitor_plugin"
#define PLUGIN_UUID "4a0fca25-1935-472a-8674-58f22c3a32b3"

/* In millionths of a hertz. */
#define RATE_LOWEST_UHZ UINT64_C(100000)
#define RATE_HIGHEST_UHZ UINT64_C(1000000000)

/* What the command line says, before defaults are filled in. */
struct said {
	struct plugin_config config;
	struct cli_sensors sensors;
	const char *engine;
	const char *listen;
	const char *subscribe;
	int gpu_share;
	bool log_level_known;
	enum log_level log_level;
};

/* ---- options ----------------------------------------------------------------------------- */

/* The kind of sensor of "cpu=2"; all kinds where none is named; 0: there is no such kind. */
static uint32_t kinds_of_rate(const char *part, const char *equals)
{
	if (!equals)
		return KIND_ALL;
	for (int k = 0; k < KIND_COUNT; k++) {
		const char *name = kind_name((enum kind) k);

		if (strlen(name) == (size_t) (equals - part) &&
			strncmp(part, name, (size_t) (equals - part)) == 0)
			return KIND_BIT(k);
	}
	return 0;
}

/* "2", or "cpu=2". */
static int take_rate_part(struct said *said, const char *part, char *ret_why, size_t why_size)
{
	const char *equals = strchr(part, '='), *number = equals ? equals + 1 : part;
	uint32_t kinds = kinds_of_rate(part, equals);
	uint64_t uhz;

	if (!kinds) {
		snprintf(ret_why, why_size, "no kind of sensor (cpu, gpu, dram): '%s'", part);
		return -EINVAL;
	}
	if (parse_fixed(number, 6, &uhz) < 0 || uhz < RATE_LOWEST_UHZ || uhz > RATE_HIGHEST_UHZ) {
		snprintf(ret_why, why_size, "not a number from 0.1 to 1000 Hz: '%s'", number);
		return -EINVAL;
	}
	for (int k = 0; k < KIND_COUNT; k++)
		if (kinds & KIND_BIT(k))
			said->config.period_ns[k] = UINT64_C(1000000000000000) / uhz;
	return 0;
}

static int take_rate(void *field, const char *text, char *ret_why, size_t why_size)
{
	do {
		char part[48];
		size_t n = strcspn(text, ",");
		int r;

		snprintf(part, sizeof(part), "%.*s", (int) n, text);
		r = take_rate_part(field, part, ret_why, why_size);
		if (r < 0)
			return r;
		text += n + (text[n] == ',');
	} while (*text);
	return 0;
}

static int take_log_max(void *field, const char *text, char *ret_why, size_t why_size)
{
	struct said *said = field;
	uint64_t bytes;

	if (parse_size(text, &bytes) < 0 || bytes == 0) {
		snprintf(ret_why, why_size, "not a size, like 100M: '%s'", text);
		return -EINVAL;
	}
	said->config.log_max_bytes = bytes;
	return 0;
}

static int take_log_level(void *field, const char *text, char *ret_why, size_t why_size)
{
	struct said *said = field;

	if (log_level_parse(text, &said->log_level) < 0) {
		snprintf(ret_why, why_size, "not one of ERROR, WARN, INFO, DEBUG: '%s'", text);
		return -EINVAL;
	}
	said->log_level_known = true;
	return 0;
}

static const char *const log_formats[] = {
	[LOG_FORMAT_README] = "readme", [LOG_FORMAT_CAMERA_TRAPS] = "camera-traps", NULL
};
static const char *const idle_policies[] = {
	[IDLE_SEPARATE] = "separate", [IDLE_PROPORTIONAL] = "proportional", NULL
};
static const char *const log_levels[] = { "ERROR", "WARN", "INFO", "DEBUG", NULL };
enum { GPU_SHARE_DEVICE, GPU_SHARE_PROCESS };
static const char *const gpu_shares[] = {
	[GPU_SHARE_DEVICE] = "device", [GPU_SHARE_PROCESS] = "process", NULL
};

enum { ONE_SOURCE = 1 };

static const struct opt options[] = {
	OPT_HEADING("Where events come from"),
	OPT_TEXT(0, "engine", "ADDRESS", struct said, engine,
		"take them from an event engine, like tcp://engine:6010 (the default if "
		"POWER_MEASURING_PLUGIN_HOST is set)",
		.excludes = ONE_SOURCE),
	OPT_TEXT(0, "subscribe", "ADDRESS", struct said, subscribe,
		"take them where an engine publishes that has no port for this plugin, like "
		"tcp://engine:5560; needs --publish",
		.excludes = ONE_SOURCE),
	OPT_TEXT(0, "publish", "ADDRESS", struct said, config.publish,
		"publish where that engine takes it, like tcp://engine:5559; with --engine only the "
		"plugin's end, also while it waits for an event"),
	OPT_TEXT(0, "listen", "ADDRESS", struct said, listen,
		"take them from senders themselves [tcp://127.0.0.1:6010]", .excludes = ONE_SOURCE),
	OPT_WORD(0, "monitor-types", "readme|events", struct said, config.monitor_types,
		cli_monitor_types,
		"choose what the numbers in an event mean [readme; events with --log-format "
		"camera-traps]",
		.variable = "POWERMEASURE_MONITOR_TYPES"),
	OPT_TEXT(0, "name", "NAME", struct said, config.name, "set the plugin's name on the bus",
		.initial = PLUGIN_NAME),
	OPT_TEXT(0, "uuid", "UUID", struct said, config.uuid, "set the plugin's UUID on the bus",
		.initial = PLUGIN_UUID),
	OPT_FLAG(0, "self-test", struct said, config.self_test,
		"measure this program's own power for 10 s at the start"),
	OPT_HEADING("What is written"),
	OPT_TEXT(0, "log-dir", "DIR", struct said, config.log_dir,
		"write logs into DIR [$TRAPS_POWER_LOG_PATH, else ~/logs]", .min = 1,
		.variable = "TRAPS_POWER_LOG_PATH"),
	OPT_WORD(0, "log-format", "readme|camera-traps", struct said, config.log_format,
		log_formats, "choose the logs' form", .initial = "readme",
		.variable = "POWERMEASURE_LOG_FORMAT"),
	OPT_WORD(0, "gpu-share", "device|process", struct said, gpu_share, gpu_shares,
		"choose what gpu_power_consumption in camera-traps' summary is: the GPU's power while "
		"the process was measured, or the process's part of it",
		.initial = "device"),
	OPT_CALL(0, "log-max", "SIZE", take_log_max,
		"begin a new log file when one is larger, like 100M"),
	OPT_NUMBER(0, "sync", "SECONDS", struct said, config.sync_ns, opt_whole_seconds, NS_PER_S,
		86400 * NS_PER_S,
		"bring the logs onto the disk every SECONDS, and at each session's end",
		.initial = "60"),
	OPT_TEXT(0, "record", "FILE", struct said, config.record,
		"append a detailed record, one JSON object a line; - is standard output, for other "
		"programs to follow"),
	OPT_TEXT(0, "phases", "FILE", struct said, config.phases,
		"measure the phases that processes mark, into phases_<pid>.json at each session's "
		"end; FILE, in /dev/shm, is made; the processes' environment must have "
		"POWERMEASURE_PHASES=FILE (docs/phases.md)"),
	OPT_CALL(0, "rate", "HZ", take_rate,
		"write so many lines a second, 0.1 to 1000; by kind: cpu=2,gpu=10", .initial = "2"),
	OPT_WORD(0, "idle", "separate|proportional", struct said, config.idle, idle_policies,
		"give the energy of idle CPUs to nobody, or to the processes that ran",
		.initial = "separate"),
	OPT_FLAG(0, "tree", struct said, config.trees,
		"measure each PID with all its descendants, those that have ended included"),
	OPT_CALL(0, "log-level", "ERROR|WARN|INFO|DEBUG", take_log_level,
		"choose which of the program's own messages go to standard error [INFO]",
		.words = log_levels),
	CLI_SENSOR_ROWS(struct said, sensors),
	OPT_END,
};

/* ---- what follows from them -------------------------------------------------------------- */

/* A level in the environment that makes no sense does not keep the plugin from starting: the variable
 * is that of the program which this one replaces. */
static void settle_log_level(const struct said *said)
{
	const char *variable = cli_variables[CLI_LOG_LEVEL], *env = cli_env(variable);
	enum log_level level = LOG_LEVEL_INFO;

	if (said->log_level_known)
		level = said->log_level;
	else if (env && log_level_parse(env, &level) < 0)
		log_warn("%s: not ERROR, WARN, INFO or DEBUG but '%s'; using INFO", variable, env);
	log_set_level(level);
}

static int settle_address(struct said *said, char *buffer, size_t n)
{
	struct plugin_config *c = &said->config;
	bool engine = said->engine != NULL;

	if (said->subscribe && !c->publish)
		return cli_usage("plugin",
			"--subscribe needs --publish, where the engine takes what plugins publish, "
			"like tcp://engine:5559");
	if (said->subscribe) {
		c->source = &source_pubsub;
		c->address = said->subscribe;
		return CLI_DONE;
	}
	c->address = said->engine ? said->engine : said->listen;
	if (!c->address)
		c->address = cli_default_address(buffer, n, &engine);
	if (!c->address)
		return CLI_USAGE;
	if (c->publish && !engine)
		return cli_usage("plugin",
			"--publish needs --subscribe, where the engine publishes, like "
			"tcp://engine:5560, or --engine");
	c->source = engine ? &source_engine : &source_listen;
	return CLI_DONE;
}

/* The program that this one replaces chose its tools by this variable. */
static void note_backend(void)
{
	const char *backend = cli_env("TRAPS_POWER_BACKEND");

	if (backend)
		log_warn("TRAPS_POWER_BACKEND=%s is ignored: sensors are read directly", backend);
}

/* A switch that is set by hand may be written in any of these ways. */
static bool env_is_on(const char *name)
{
	static const char *const on[] = { "true", "yes", "on" },
				 *const off[] = { "false", "no", "off" };
	const char *value = cli_env(name);
	int64_t number;

	if (!value)
		return false;
	if (parse_i64(value, &number) == 0)
		return number != 0;
	for (size_t i = 0; i < ARRAY_SIZE(on); i++)
		if (strcasecmp(value, on[i]) == 0 || strcasecmp(value, off[i]) == 0)
			return strcasecmp(value, on[i]) == 0;
	log_warn("%s: neither 0 nor 1: '%s'; using 0", name, value);
	return false;
}

static int run_plugin(int argc, char **argv)
{
	struct said said = { 0 };
	struct plugin_config *c = &said.config;
	char address[300], log_dir[4096];
	struct rig_options rig;
	struct opts o;
	int r;

	opts_begin(&o, &command_plugin, argc, argv, &said);
	if (!opts_take_all(&o, 0))
		return o.status;
	settle_log_level(&said);
	/* Senders of that deployment number as its schema does. */
	if (c->log_format == LOG_FORMAT_CAMERA_TRAPS && !opts_given(&o, "monitor-types"))
		c->monitor_types = MONITOR_TYPES_EVENTS;
	r = settle_address(&said, address, sizeof(address));
	if (r != CLI_DONE)
		return r;
	c->log_dir = cli_log_dir(c->log_dir, log_dir, sizeof(log_dir));
	if (!c->log_dir)
		return cli_fail("plugin", "no home directory for the logs; use --log-dir");
	rig = cli_rig_options(&said.sensors);
	c->root = said.sensors.root;
	c->sensors = rig.sensors;
	c->sensor_options = *rig.sensor;
	c->own_gpu = said.gpu_share == GPU_SHARE_PROCESS;
	c->self_test |= env_is_on(cli_variables[CLI_SELF_TEST]);
	note_backend();
	return plugin_run(c);
}

const struct cli_command command_plugin = {
	.name = "plugin",
	.summary = "measure what events ask for, and log it",
	.usage = "plugin [OPTIONS]",
	.about =
		"Takes events that ask for the power of processes, measures, and logs to CPU.json, "
		"GPU.json and DRAM.json. Ends with SIGTERM, SIGINT or a terminate event, all files "
		"complete.",
	.options = options,
	.status = "0 done; 1 failed; 2 wrong usage",
	.run = run_plugin,
};
