// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <string.h>

#include "cli/doctor/doctor.h"

static int doctor(struct cli_sensors *sensors, bool json)
{
	static struct doctor d;
	int r = doctor_open(&d, "doctor", sensors, false);

	if (r == CLI_DONE) {
		if (json)
			doctor_print_json(&d);
		else
			doctor_print_text(&d);
		r = rig_measures(d.rig) ? CLI_DONE : CLI_FAILED;
	}
	doctor_close(&d);
	return r;
}

struct doctor_options {
	struct cli_sensors sensors;
	bool json;
};

static const struct opt options[] = {
	OPT_FLAG(0, "json", struct doctor_options, json, "print one JSON document"),
	CLI_SENSOR_ROWS(struct doctor_options, sensors),
	OPT_END,
};

static int run_doctor(int argc, char **argv)
{
	struct doctor_options given = { 0 };
	struct opts o;

	opts_begin(&o, &command_doctor, argc, argv, &given);
	return opts_take_all(&o, 0) ? doctor(&given.sensors, given.json) : o.status;
}

const struct cli_command command_doctor = {
	.name = "doctor",
	.summary = "diagnose sensors that cannot be used, and show each fix",
	.usage = "doctor [OPTIONS]",
	.about = "Shows what keeps sensors from being used: permissions, missing modules, "
		 "containers; the exact command that would change each, and what that would give. "
		 "Changes nothing.",
	.options = options,
	.status = "0 something is measured; 1 nothing is, or only estimated; 2 wrong usage",
	.run = run_doctor,
};
