// SPDX-License-Identifier: MIT
#include "cli/doctor/doctor.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/cleanup.h"

#define CLOSE_NS (500 * NS_PER_MS)

/* ---- files ------------------------------------------------------------------------------- */

static void name_owner(const struct stat *st, struct doctor_denied *ret)
{
	const struct passwd *user = getpwuid(st->st_uid);
	const struct group *group = getgrgid(st->st_gid);

	if (user)
		snprintf(ret->owner, sizeof(ret->owner), "%s", user->pw_name);
	else
		snprintf(ret->owner, sizeof(ret->owner), "%u", (unsigned) st->st_uid);
	if (group)
		snprintf(ret->group, sizeof(ret->group), "%s", group->gr_name);
	else
		snprintf(ret->group, sizeof(ret->group), "%u", (unsigned) st->st_gid);
}

static void add_denied(const struct doctor *d, struct doctor_finding *f, const char *path)
{
	struct doctor_denied *denied = &f->denied[f->n_denied];
	struct stat st;

	if (f->n_denied == DOCTOR_MAX_DENIED)
		return;
	*denied = (struct doctor_denied) { 0 };
	snprintf(denied->path, sizeof(denied->path), "%s", path);
	/* Of a captured machine, or below a directory that is closed, no more is known. */
	if (!d->host.captured && fstatat(d->host.root_fd, path + 1, &st, 0) == 0) {
		name_owner(&st, denied);
		denied->mode = st.st_mode & 07777;
		denied->group_would_do = (st.st_mode & S_IRGRP) && st.st_gid != 0;
	}
	f->n_denied++;
}

static int find_denied(const struct doctor *d, struct doctor_finding *f)
{
	for (size_t i = 0; i < asked_n(d->asked); i++) {
		struct asked_path what;
		int r = asked_get(d->asked, i, &what);

		if (r < 0)
			return r;
		free(what.text);
		if (what.error == -EACCES || what.error == -EPERM)
			add_denied(d, f, what.path);
	}
	return 0;
}

/* ---- what a fix would give ---------------------------------------------------------------- */

static bool is_cpu_measured(const struct rig *rig)
{
	for (size_t i = 0; i < rig_n_domains(rig); i++) {
		const struct domain *d = rig_domain(rig, i);

		if (domain_adds_to(d, KIND_CPU) && d->quality != FLAG_ESTIMATED)
			return true;
	}
	return false;
}

static void say_what_it_gives(const struct doctor *d, struct doctor_finding *f)
{
	const struct sensor_ops *ops = f->verdict->ops;

	snprintf(f->gives, sizeof(f->gives), "%s%s", ops->gives,
		!(ops->sure_kinds & KIND_BIT(KIND_CPU)) ? ""
			: is_cpu_measured(d->rig)       ? "; the CPUs are measured already"
							: ", measured instead of ESTIMATED");
}

/* A group that may read all that is denied is less than a capability or being root. */
static void choose_fix(const struct doctor *d, struct doctor_finding *f)
{
	const char *modprobe = "sudo modprobe ", *group = NULL;

	snprintf(f->fix, sizeof(f->fix), "%s", f->verdict->why.fix);
	if (strncmp(f->fix, modprobe, strlen(modprobe)) == 0) {
		snprintf(
			f->module, sizeof(f->module), "%s", f->verdict->why.fix + strlen(modprobe));
		f->module_state = doctor_module_state(&d->host, f->module);
	}
	for (size_t i = 0; i < f->n_denied; i++) {
		if (!f->denied[i].group_would_do ||
			(group && strcmp(group, f->denied[i].group) != 0))
			return;
		group = f->denied[i].group;
	}
	if (group && !d->person.container)
		snprintf(f->fix, sizeof(f->fix), "sudo usermod -aG %s %s", group, d->person.name);
}

/* ---- looking at all of it ----------------------------------------------------------------- */

/* Alone, so that it is known what it asked for. */
static int examine(struct doctor *d, size_t i, const struct rig_options *all)
{
	struct doctor_finding *f = &d->findings[i];
	struct rig_options o = *all;
	const struct rig_verdict *alone = NULL;
	const char *bad_name;
	int r;

	o.sensors = f->verdict->ops->name;
	r = asked_create(&d->asked);
	if (r < 0)
		return r;
	d->host.watch = asked_watch(d->asked);
	r = rig_open(&d->alone[i], &d->host, &o, &bad_name);
	if (r == 0) {
		alone = rig_verdict(d->alone[i], 0);
		f->examined = true;
		if (alone->error < 0)
			f->verdict = alone;
		r = find_denied(d, f);
	}
	d->host.watch = NULL;
	/* A thread that was left behind may tell it something yet. */
	if (!alone || alone->error != -ETIME)
		asked_destroy(d->asked);
	return r;
}

static bool is_to_examine(const struct rig_verdict *v, bool fixes_only)
{
	if (fixes_only)
		return v->error < 0 && v->why.fix[0];
	return v->error != -ECANCELED && (v->ops->role != SENSOR_SIMULATED || v->used);
}

static int find(struct doctor *d, const struct rig_options *o, bool fixes_only)
{
	int r = 0;

	for (; r == 0 && d->n < rig_n_verdicts(d->rig) && d->n < RIG_MAX_SENSORS; d->n++) {
		const struct rig_verdict *v = rig_verdict(d->rig, d->n);
		struct doctor_finding *f = &d->findings[d->n];

		*f = (struct doctor_finding) { .verdict = v, .used = v->used };
		if (is_to_examine(v, fixes_only))
			r = examine(d, d->n, o);
		choose_fix(d, f);
		if (f->verdict->error < 0 && (f->fix[0] || f->n_denied))
			say_what_it_gives(d, f);
	}
	return r;
}

int doctor_open(struct doctor *d, const char *command, struct cli_sensors *sensors, bool fixes_only)
{
	struct rig_options o = cli_rig_options(sensors);
	int r = cli_open_host(&d->host, command, sensors->root);

	if (r != CLI_DONE)
		return r;
	d->opened = true;
	doctor_look_at_person(&d->host, &d->person);
	r = cli_open_rig(&d->rig, &d->host, command, &o);
	if (r != CLI_DONE)
		return r;
	r = find(d, &o, fixes_only);
	return r < 0 ? cli_fail(command, "%s", strerror(-r)) : CLI_DONE;
}

void doctor_close(struct doctor *d)
{
	bool all_closed = rig_close(d->rig, CLOSE_NS);

	for (size_t i = 0; i < RIG_MAX_SENSORS; i++)
		all_closed &= rig_close(d->alone[i], CLOSE_NS);
	if (d->opened && all_closed)
		host_finish(&d->host);
}
