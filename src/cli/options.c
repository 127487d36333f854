// SPDX-License-Identifier: MIT
#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "util/parse.h"

#define DEFAULT_PORT "6010"
#define MAX_CPU_MW 1000000

__attribute__((format(printf, 2, 0))) static void complain(
	const char *command, const char *format, va_list args)
{
	fprintf(stderr, "powermeasure %s: ", command);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

int cli_usage(const char *command, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain(command, format, args);
	va_end(args);
	fprintf(stderr, "try: powermeasure %s --help\n", command);
	return CLI_USAGE;
}

int cli_fail(const char *command, const char *format, ...)
{
	va_list args;

	/* What was said before stands before it, also where both go to one file. */
	fflush(stdout);
	va_start(args, format);
	complain(command, format, args);
	va_end(args);
	return CLI_FAILED;
}

int cli_take_sensors(void *field, const char *text, char *ret_why, size_t why_size)
{
	struct cli_sensors *s = field;

	return sensorlist_parse(text, &s->list, ret_why, why_size);
}

int cli_take_gpu(void *field, const char *text, char *ret_why, size_t why_size)
{
	struct cli_sensors *s = field;

	if (s->options.n_gpus == CLI_MAX_GPUS) {
		snprintf(ret_why, why_size, "more than %d", CLI_MAX_GPUS);
		return -E2BIG;
	}
	s->gpus[s->options.n_gpus++] = text;
	return 0;
}

int cli_take_estimate_watts(void *field, const char *text, char *ret_why, size_t why_size)
{
	struct cli_sensors *s = field;
	const char *colon = strchr(text, ':');
	char idle[32];
	uint64_t idle_mw, full_mw;

	if (!colon || (size_t) (colon - text) >= sizeof(idle)) {
		snprintf(ret_why, why_size, "not IDLE:FULL, like 0.6:4: '%s'", text);
		return -EINVAL;
	}
	snprintf(idle, sizeof(idle), "%.*s", (int) (colon - text), text);
	if (parse_fixed(idle, 3, &idle_mw) < 0 || parse_fixed(colon + 1, 3, &full_mw) < 0 ||
		full_mw == 0 || full_mw > MAX_CPU_MW || idle_mw > full_mw) {
		snprintf(ret_why, why_size, "not two powers in watts, the second the larger: '%s'",
			text);
		return -EINVAL;
	}
	s->options.idle_mw = idle_mw;
	s->options.full_mw = full_mw;
	return 0;
}

struct rig_options cli_rig_options(struct cli_sensors *s)
{
	s->options.gpus = s->gpus;
	s->options.file = s->list.file[0] ? s->list.file : NULL;
	return (struct rig_options) { .sensors = s->list.names[0] ? s->list.names : NULL,
		.sensor = &s->options };
}

const char *const cli_monitor_types[] = {
	[MONITOR_TYPES_README] = "readme",
	[MONITOR_TYPES_EVENTS] = "events",
	NULL,
};

const char *const cli_variables[CLI_VARIABLES] = {
	[CLI_ENGINE_HOST] = "POWER_MEASURING_PLUGIN_HOST",
	[CLI_ENGINE_PORT] = "POWER_MEASURING_PLUGIN_PORT",
	[CLI_LOG_LEVEL] = "TRAPS_POWER_LOG_LEVEL",
	[CLI_SELF_TEST] = "TRAPS_TEST_POWER_FUNCTION",
};

const char *cli_env(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static const char *home_dir(void)
{
	const char *home = cli_env("HOME");

	if (!home) {
		const struct passwd *entry = getpwuid(getuid());

		home = entry ? entry->pw_dir : NULL;
	}
	return home && *home ? home : NULL;
}

const char *cli_log_dir(const char *given, char *buffer, size_t n)
{
	const char *path = given ? given : "~/logs";
	const char *home = home_dir();

	/* No shell has looked at what a compose file or a unit sets. */
	if (path[0] != '~' || (path[1] != '/' && path[1] != '\0'))
		return path;
	if (!home)
		return NULL;
	snprintf(buffer, n, "%s%s", home, path + 1);
	return buffer;
}

const char *cli_default_address(char *buffer, size_t n, bool *ret_engine)
{
	const char *host = cli_env(cli_variables[CLI_ENGINE_HOST]);
	const char *port = cli_env(cli_variables[CLI_ENGINE_PORT]);
	uint64_t number;

	if (!port)
		port = DEFAULT_PORT;
	if (parse_u64(port, &number) < 0 || number == 0 || number > 65535) {
		fprintf(stderr, "powermeasure: %s: not a port number: '%s'\n",
			cli_variables[CLI_ENGINE_PORT], port);
		return NULL;
	}
	*ret_engine = host != NULL;
	snprintf(buffer, n, "tcp://%s:%s", host ? host : "127.0.0.1", port);
	return buffer;
}
