// SPDX-License-Identifier: MIT
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

#define RATE_LOWEST_UHZ UINT64_C(100000)
#define RATE_HIGHEST_UHZ UINT64_C(1000000000)
#define RATE_DEFAULT_UHZ UINT64_C(2000000)
#define SYNC_DEFAULT_S 60

static const char help[] =
	"usage: powermeasure plugin [OPTIONS]\n"
	"\n"
	"Takes events that ask for the power of processes, measures, and logs to CPU.json, GPU.json\n"
	"and DRAM.json. Ends with SIGTERM, SIGINT or a terminate event, all files complete.\n"
	"\n"
	"Where events come from:\n"
	"  --engine ADDRESS   an event engine, like tcp://engine:6010 (default if\n"
	"                     POWER_MEASURING_PLUGIN_HOST is set)\n"
	"  --subscribe ADDRESS --publish ADDRESS\n"
	"                     an engine at which this plugin has no port: where it publishes, like\n"
	"                     tcp://engine:5560, and where it takes what plugins publish, like\n"
	"                     tcp://engine:5559. With --engine the latter alone: the plugin's end\n"
	"                     is told there also while it waits for an event\n"
	"  --listen ADDRESS   senders themselves; default: tcp://127.0.0.1:6010\n"
	"  --monitor-types readme|events\n"
	"                     what the numbers in an event mean (default: readme; events with\n"
	"                     --log-format camera-traps)\n"
	"  --name NAME, --uuid UUID\n"
	"                     who this plugin is on the bus\n"
	"  --self-test        measure this program's own power for 10 s at the start\n"
	"\n"
	"What is written:\n"
	"  --log-dir DIR      default: $TRAPS_POWER_LOG_PATH, else ~/logs\n"
	"  --log-format readme|camera-traps\n"
	"  --legacy-semantics device|attributed\n"
	"                     what gpu_power_consumption in camera-traps' summary is: the GPU's power\n"
	"                     while the process was measured (default), or the process's part of it\n"
	"  --log-max SIZE     begin a new log file when one is larger, like 100M\n"
	"  --sync S           bring the logs onto the disk every S seconds (default: 60) and at\n"
	"                     each session's end\n"
	"  --record FILE      a detailed record beside them, one JSON object a line; - is standard\n"
	"                     output, for others to follow\n"
	"  --phases FILE      phases that processes mark, in phases_<pid>.json at each session's end.\n"
	"                     FILE, in /dev/shm, is made; the processes' environment must have\n"
	"                     POWERMEASURE_PHASES=FILE (docs/phases.md)\n"
	"  --rate HZ          lines a second, 0.1 to 1000 (default: 2); by kind: cpu=2,gpu=10\n"
	"  --idle separate|proportional\n"
	"                     who gets the energy of idle CPUs: nobody (default), or whoever ran\n"
	"  --tree             each pid with all its descendants, those that have ended included\n"
	"  --log-level ERROR|WARN|INFO|DEBUG\n"
	"                     of the program's own messages, on standard error\n"
	"\n" CLI_SENSOR_HELP "\n"
	"Exit status: 0 done, 1 failed, 2 wrong usage.\n";

enum {
	OPT_ENGINE = CLI_OPT_NEXT,
	OPT_LISTEN,
	OPT_SUBSCRIBE,
	OPT_PUBLISH,
	OPT_MONITOR_TYPES,
	OPT_NAME,
	OPT_UUID,
	OPT_SELF_TEST,
	OPT_TREE,
	OPT_LOG_DIR,
	OPT_LOG_FORMAT,
	OPT_LEGACY_SEMANTICS,
	OPT_LOG_MAX,
	OPT_SYNC,
	OPT_RECORD,
	OPT_PHASES,
	OPT_RATE,
	OPT_IDLE,
	OPT_LOG_LEVEL,
};

static const struct option options[] = {
	{ "engine", required_argument, NULL, OPT_ENGINE },
	{ "listen", required_argument, NULL, OPT_LISTEN },
	{ "subscribe", required_argument, NULL, OPT_SUBSCRIBE },
	{ "publish", required_argument, NULL, OPT_PUBLISH },
	{ "monitor-types", required_argument, NULL, OPT_MONITOR_TYPES },
	{ "name", required_argument, NULL, OPT_NAME },
	{ "uuid", required_argument, NULL, OPT_UUID },
	{ "self-test", no_argument, NULL, OPT_SELF_TEST },
	{ "log-dir", required_argument, NULL, OPT_LOG_DIR },
	{ "log-format", required_argument, NULL, OPT_LOG_FORMAT },
	{ "legacy-semantics", required_argument, NULL, OPT_LEGACY_SEMANTICS },
	{ "log-max", required_argument, NULL, OPT_LOG_MAX },
	{ "sync", required_argument, NULL, OPT_SYNC },
	{ "record", required_argument, NULL, OPT_RECORD },
	{ "phases", required_argument, NULL, OPT_PHASES },
	{ "rate", required_argument, NULL, OPT_RATE },
	{ "idle", required_argument, NULL, OPT_IDLE },
	{ "tree", no_argument, NULL, OPT_TREE },
	{ "log-level", required_argument, NULL, OPT_LOG_LEVEL },
	{ "help", no_argument, NULL, 'h' },
	CLI_SENSOR_OPTIONS,
	{ 0 },
};

/* What the command line says, before defaults are filled in. */
struct said {
	struct plugin_config config;
	struct cli_sensors sensors;
	const char *engine;
	const char *listen;
	const char *subscribe;
	const char *publish;
	const char *log_format;
	const char *monitor_types;
	const char *log_level;
};

/* "2", or "cpu=2,gpu=10". */
static int take_rate(struct said *said, const char *command, const char *text)
{
	if (!*text)
		return cli_usage(command, "--rate: \"\" is not between 0.1 and 1000 Hz");
	while (*text) {
		char part[48];
		const char *number = part, *equals;
		size_t n = strcspn(text, ",");
		uint32_t kinds = KIND_ALL;
		uint64_t uhz;

		snprintf(part, sizeof(part), "%.*s", (int) n, text);
		equals = strchr(part, '=');
		if (equals) {
			number = equals + 1;
			kinds = 0;
			for (int k = 0; k < KIND_COUNT; k++)
				if (strlen(kind_name((enum kind) k)) == (size_t) (equals - part) &&
					strncmp(part, kind_name((enum kind) k),
						(size_t) (equals - part)) == 0)
					kinds = KIND_BIT(k);
		}
		if (!kinds)
			return cli_usage(command,
				"--rate: no kind of sensor in \"%s\": cpu, gpu, dram", part);
		if (parse_fixed(number, 6, &uhz) < 0 || uhz < RATE_LOWEST_UHZ ||
			uhz > RATE_HIGHEST_UHZ)
			return cli_usage(
				command, "--rate: \"%s\" is not between 0.1 and 1000 Hz", number);
		for (int k = 0; k < KIND_COUNT; k++)
			if (kinds & KIND_BIT(k))
				said->config.period_ns[k] = UINT64_C(1000000000000000) / uhz;
		text += n + (text[n] == ',');
	}
	return CLI_DONE;
}

static int take_option(struct said *said, const char *command, int option, const char *argument)
{
	struct plugin_config *c = &said->config;
	uint64_t number;

	switch (option) {
	case OPT_ENGINE:
		said->engine = argument;
		return CLI_DONE;
	case OPT_LISTEN:
		said->listen = argument;
		return CLI_DONE;
	case OPT_SUBSCRIBE:
		said->subscribe = argument;
		return CLI_DONE;
	case OPT_PUBLISH:
		said->publish = argument;
		return CLI_DONE;
	case OPT_MONITOR_TYPES:
		said->monitor_types = argument;
		return CLI_DONE;
	case OPT_NAME:
		c->name = argument;
		return CLI_DONE;
	case OPT_UUID:
		c->uuid = argument;
		return CLI_DONE;
	case OPT_SELF_TEST:
		c->self_test = true;
		return CLI_DONE;
	case OPT_TREE:
		c->trees = true;
		return CLI_DONE;
	case OPT_LOG_DIR:
		if (!*argument)
			return cli_usage(command, "--log-dir: the name is empty");
		c->log_dir = argument;
		return CLI_DONE;
	case OPT_LOG_FORMAT:
		said->log_format = argument;
		return CLI_DONE;
	case OPT_LEGACY_SEMANTICS:
		c->own_gpu = strcmp(argument, "attributed") == 0;
		if (!c->own_gpu && strcmp(argument, "device") != 0)
			return cli_usage(command,
				"--legacy-semantics: \"%s\" is neither device nor attributed",
				argument);
		return CLI_DONE;
	case OPT_LOG_MAX:
		if (parse_size(argument, &c->log_max_bytes) < 0 || c->log_max_bytes == 0)
			return cli_usage(
				command, "--log-max: \"%s\" is no size, like 100M", argument);
		return CLI_DONE;
	case OPT_SYNC:
		if (parse_u64(argument, &number) < 0 || number == 0 || number > 86400)
			return cli_usage(
				command, "--sync: \"%s\" is not 1 to 86400 seconds", argument);
		c->sync_ns = number * NS_PER_S;
		return CLI_DONE;
	case OPT_PHASES:
		c->phases = argument;
		return CLI_DONE;
	case OPT_RECORD:
		c->record = argument;
		return CLI_DONE;
	case OPT_RATE:
		return take_rate(said, command, argument);
	case OPT_IDLE:
		if (strcmp(argument, "separate") == 0)
			c->idle = IDLE_SEPARATE;
		else if (strcmp(argument, "proportional") == 0)
			c->idle = IDLE_PROPORTIONAL;
		else
			return cli_usage(command,
				"--idle: \"%s\" is neither separate nor proportional", argument);
		return CLI_DONE;
	case OPT_LOG_LEVEL:
		said->log_level = argument;
		return CLI_DONE;
	default:
		return cli_take_sensor_option(&said->sensors, command, option, argument);
	}
}

static int settle_log_level(const struct said *said, const char *command)
{
	const char *env = cli_env("TRAPS_POWER_LOG_LEVEL");
	enum log_level level = LOG_LEVEL_INFO;

	if (said->log_level) {
		if (log_level_parse(said->log_level, &level) < 0)
			return cli_usage(command,
				"--log-level: \"%s\" is none of ERROR, WARN, INFO, DEBUG",
				said->log_level);
	} else if (env && log_level_parse(env, &level) < 0) {
		log_warn(
			"TRAPS_POWER_LOG_LEVEL: \"%s\" is none of ERROR, WARN, INFO, DEBUG; INFO it is",
			env);
	}
	log_set_level(level);
	return CLI_DONE;
}

static int settle_formats(struct said *said, const char *command)
{
	struct plugin_config *c = &said->config;
	const char *format = said->log_format ? said->log_format
					      : cli_env("POWERMEASURE_LOG_FORMAT");
	const char *types = said->monitor_types ? said->monitor_types
						: cli_env("POWERMEASURE_MONITOR_TYPES");

	if (!format || strcmp(format, "readme") == 0)
		c->log_format = LOG_FORMAT_README;
	else if (strcmp(format, "camera-traps") == 0)
		c->log_format = LOG_FORMAT_CAMERA_TRAPS;
	else
		return cli_usage(command, "%s: \"%s\" is neither readme nor camera-traps",
			said->log_format ? "--log-format" : "POWERMEASURE_LOG_FORMAT", format);
	/* Senders of that deployment number as its schema does. */
	c->monitor_types = c->log_format == LOG_FORMAT_CAMERA_TRAPS ? MONITOR_TYPES_EVENTS
								    : MONITOR_TYPES_README;
	if (types && !cli_monitor_types(types, &c->monitor_types))
		return cli_usage(command, "%s: \"%s\" is neither readme nor events",
			said->monitor_types ? "--monitor-types" : "POWERMEASURE_MONITOR_TYPES",
			types);
	return CLI_DONE;
}

static int settle_address(struct said *said, const char *command, char *buffer, size_t n)
{
	struct plugin_config *c = &said->config;
	bool engine = said->engine != NULL;

	if (!!said->engine + !!said->listen + !!said->subscribe > 1)
		return cli_usage(command, "--engine, --listen and --subscribe exclude each other");
	if (said->subscribe && !said->publish)
		return cli_usage(command,
			"--subscribe needs --publish, where the engine takes what plugins publish, "
			"like tcp://engine:5559");
	c->publish = said->publish;
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
	if (said->publish && !engine)
		return cli_usage(command,
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
		log_info(
			"TRAPS_POWER_BACKEND=%s: the same sensors are read here directly", backend);
}

/* Whoever sets a switch up by hand may write it in any of these ways. */
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
	log_warn("%s: \"%s\" is neither 0 nor 1; 0 it is", name, value);
	return false;
}

int cmd_plugin(int argc, char **argv)
{
	const char *command = argv[0];
	struct said said = { .config = { .name = PLUGIN_NAME,
				     .uuid = PLUGIN_UUID,
				     .sync_ns = SYNC_DEFAULT_S * NS_PER_S } };
	char address[300], log_dir[4096];
	struct rig_options rig;
	int option, r = CLI_DONE;

	for (int k = 0; k < KIND_COUNT; k++)
		said.config.period_ns[k] = UINT64_C(1000000000000000) / RATE_DEFAULT_UHZ;
	while (r == CLI_DONE &&
		(option = cli_next_option(command, argc, argv, "+:h", options)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			return CLI_DONE;
		}
		r = option == CLI_OPT_BAD ? CLI_USAGE : take_option(&said, command, option, optarg);
	}
	if (r == CLI_DONE && optind < argc)
		r = cli_usage(command, "\"%s\" is no option", argv[optind]);
	if (r == CLI_DONE)
		r = settle_log_level(&said, command);
	if (r == CLI_DONE)
		r = settle_formats(&said, command);
	if (r == CLI_DONE)
		r = settle_address(&said, command, address, sizeof(address));
	if (r != CLI_DONE)
		return r;
	if (!said.config.log_dir)
		said.config.log_dir = cli_default_log_dir(log_dir, sizeof(log_dir));
	if (!said.config.log_dir)
		return cli_fail(command, "there is no home directory for the logs: use --log-dir");
	rig = cli_rig_options(&said.sensors);
	said.config.root = said.sensors.root;
	said.config.sensors = rig.sensors;
	said.config.sensor_options = *rig.sensor;
	said.config.self_test |= env_is_on("TRAPS_TEST_POWER_FUNCTION");
	note_backend();
	return plugin_run(&said.config);
}
