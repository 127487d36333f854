// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <string.h>

#include "cli/doctor/doctor.h"

#define CLOSE_NS (500 * NS_PER_MS)

static const char help[] =
	"usage: powermeasure doctor [--json] [OPTIONS]\n"
	"\n"
	"Tells what keeps sensors from being used: permissions, missing modules, containers; the\n"
	"exact command that would change each, and what that would give. Changes nothing.\n"
	"\n"
	"  --json             the same as one JSON document\n"
	"\n" CLI_SENSOR_HELP "\n"
	"Exit status: 0 if something is measured; 1 if nothing is, or only estimated; 2 wrong\n"
	"usage.\n";

enum { OPT_JSON = CLI_OPT_NEXT };

static const struct option options[] = {
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, 'h' },
	CLI_SENSOR_OPTIONS,
	{ 0 },
};

static int doctor(struct cli_sensors *sensors, bool json)
{
	/* Threads that were left behind may use it to the end. */
	static struct doctor d;
	struct rig_options o = cli_rig_options(sensors);
	int r = cli_open_host(&d.host, "doctor", sensors->root);
	bool all_closed;

	if (r != CLI_DONE)
		return r;
	doctor_look_at_person(&d.host, &d.person);
	r = doctor_examine(&d, &o);
	if (r == CLI_DONE) {
		if (json)
			doctor_print_json(&d);
		else
			doctor_print_text(&d);
		r = rig_measures(d.rig) ? CLI_DONE : CLI_FAILED;
	}
	all_closed = rig_close(d.rig, CLOSE_NS);
	for (size_t i = 0; i < d.n; i++)
		all_closed &= rig_close(d.alone[i], CLOSE_NS);
	if (all_closed)
		host_finish(&d.host);
	return r;
}

int cmd_doctor(int argc, char **argv)
{
	struct cli_sensors sensors = { 0 };
	bool json = false;
	int option, r = CLI_DONE;

	while (r == CLI_DONE &&
		(option = cli_next_option("doctor", argc, argv, "+:h", options)) != -1) {
		switch (option) {
		case 'h':
			fputs(help, stdout);
			return CLI_DONE;
		case OPT_JSON:
			json = true;
			break;
		case CLI_OPT_BAD:
			r = CLI_USAGE;
			break;
		default:
			r = cli_take_sensor_option(&sensors, "doctor", option, optarg);
		}
	}
	if (r == CLI_DONE && optind < argc)
		r = cli_usage("doctor", "\"%s\" is no option", argv[optind]);
	return r == CLI_DONE ? doctor(&sensors, json) : r;
}
