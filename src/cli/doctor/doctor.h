// SPDX-License-Identifier: MIT
/*
 * What keeps sensors from being used: who asks (doctor_person.c), what each sensor was refused
 * (doctor.c), which kernel modules are there (doctor_module.c), and telling it (doctor_report.c).
 */
#ifndef PM_CLI_DOCTOR_DOCTOR_H
#define PM_CLI_DOCTOR_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/cli.h"
#include "machine/host.h"
#include "machine/asked.h"
#include "meter/rig.h"

#define DOCTOR_MAX_DENIED 8 /* of a sensor: more say nothing new */

/* A file that may not be read. */
struct doctor_denied {
	char path[512];
	char owner[64];
	char group[64];
	unsigned mode;
	bool group_would_do;
};

struct doctor_finding {
	const struct rig_verdict *verdict; /* of the sensor alone */
	bool used;                         /* beside all others */
	struct doctor_denied denied[DOCTOR_MAX_DENIED];
	size_t n_denied;
	char module[64]; /* that would be loaded; else empty */
	const char *module_state;
	char fix[256];
	char gives[256];
};

struct doctor_person {
	char exe[512];
	char name[64];
	char groups[512];
	char effective[128]; /* capabilities that matter here; empty: none */
	char permitted[128]; /* of the program's file */
	char paranoid[16];
	bool container;
	bool nosuid; /* where the program lies capabilities of files have no effect */
};

struct doctor {
	struct host host;
	struct asked *asked;
	struct rig *rig; /* of all: what is used */
	struct rig *alone[RIG_MAX_SENSORS];
	struct doctor_finding findings[RIG_MAX_SENSORS];
	size_t n;
	struct doctor_person person;
};

/* Finds out who asks and with which rights. */
void doctor_look_at_person(const struct host *h, struct doctor_person *ret);

/* In words, whether a module is loaded, and else whether it could be. */
const char *doctor_module_state(const struct host *h, const char *module);

/* Opens everything together and then each sensor alone. Returns a cli_ status, said if not done. */
int doctor_examine(struct doctor *d, const struct rig_options *o);

void doctor_print_text(const struct doctor *d);
void doctor_print_json(const struct doctor *d);

#endif
