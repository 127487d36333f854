// SPDX-License-Identifier: MIT
/*
 * What became of each sensor, for `list` and `doctor`: who asks (doctor_person.c), what each sensor was
 * refused (doctor.c), which kernel modules are there (doctor_module.c), and the words (doctor_print.c).
 */
#ifndef PM_CLI_DOCTOR_DOCTOR_H
#define PM_CLI_DOCTOR_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/cli.h"
#include "machine/host.h"
#include "machine/asked.h"
#include "meter/rig.h"
#include "util/jw.h"

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
	const struct rig_verdict
		*verdict; /* beside all others; of the sensor alone where that fails */
	bool used;
	bool examined; /* was opened alone, too */
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
	bool opened; /* the host is */
	struct asked *asked;
	struct rig *rig; /* of all: what is used */
	struct rig *alone[RIG_MAX_SENSORS];
	struct doctor_finding findings[RIG_MAX_SENSORS]; /* one for each verdict of that rig */
	size_t n;
	struct doctor_person person;
};

/* Finds out who asks and with which rights. */
void doctor_look_at_person(const struct host *h, struct doctor_person *ret);

/* In words, whether a module is loaded, and else whether it could be. */
const char *doctor_module_state(const struct host *h, const char *module);

/* Opens the machine, all its sensors together, and then alone either each that could be used or, with
 * fixes_only, those that need a fix, for the best of several. d is zeroed and must stay for ever: a
 * thread that is left behind may use it. Returns a cli_ status, said in the command's name if not
 * done; doctor_close() is to be called in any case. */
int doctor_open(
	struct doctor *d, const char *command, struct cli_sensors *sensors, bool fixes_only);
void doctor_close(struct doctor *d);

/* What `list` and `doctor` say of a sensor, in the same words: whether it is used or why not, the
 * command that would change that, and last what there is in all. */
void doctor_print_state(const struct doctor_finding *f);
void doctor_print_fix(const struct doctor_finding *f);
void doctor_print_end(const struct doctor *d);

/* The same, as members of an object. */
void doctor_put_state(struct jw *j, const struct doctor_finding *f);

void doctor_print_text(const struct doctor *d);
void doctor_print_json(const struct doctor *d);

#endif
