// SPDX-License-Identifier: MIT
#include "cli/doctor/doctor.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/jw.h"
#include "session/schema.h"

static void print_person(const struct doctor_person *p)
{
	printf("user          %s (uid %u), groups: %s%s\n", p->name, (unsigned) geteuid(),
		p->groups[0] ? p->groups : "none", p->container ? "; in a container" : "");
	printf("capabilities  %s; of %s: %s%s\n", p->effective[0] ? p->effective : "none that help",
		p->exe, p->permitted[0] ? p->permitted : "none",
		p->nosuid ? " (its file system is mounted nosuid: they would have no effect)" : "");
	printf("kernel        perf_event_paranoid is %s\n\n",
		p->paranoid[0] ? p->paranoid : "not told");
}

static const char *state_of(const struct doctor_finding *f)
{
	if (f->used && f->verdict->ops->role == SENSOR_MODEL)
		return "used: an estimate, not a measurement";
	if (f->used && f->verdict->ops->role == SENSOR_SIMULATED)
		return "used: simulated, not a measurement";
	if (f->used)
		return "used";
	return f->verdict->error == 0 ? "usable" : "not usable";
}

void doctor_print_state(const struct doctor_finding *f)
{
	const char *reason = f->verdict->why.reason;

	printf("%-15s %s%s%s\n", f->verdict->ops->name, state_of(f), reason[0] ? ": " : "", reason);
}

void doctor_print_fix(const struct doctor_finding *f)
{
	if (f->fix[0])
		printf("%-15s to change that: %s\n", "", f->fix);
}

void doctor_print_end(const struct doctor *d)
{
	bool fixable = false;

	for (size_t i = 0; i < d->n; i++)
		fixable |= d->findings[i].fix[0] != '\0';
	if (rig_measures(d->rig))
		return;
	printf("\nNothing %s measured here%s%s.\n", fixable ? "is" : "can be",
		rig_n_domains(d->rig) ? ": the figures are estimates" : "",
		fixable ? "; see above for what would change that" : "");
}

static void print_finding(const struct doctor *d, const struct doctor_finding *f)
{
	doctor_print_state(f);
	for (size_t i = 0; i < f->n_denied; i++) {
		const struct doctor_denied *n = &f->denied[i];

		printf("%-15s may not be read: %s", "", n->path);
		if (n->owner[0])
			printf(", of %s:%s, mode %04o: %s%s", n->owner, n->group, n->mode,
				n->group_would_do ? "would do: group " : "no group would do",
				n->group_would_do ? n->group : "");
		putchar('\n');
	}
	if (f->module[0])
		printf("%-15s module %s: %s\n", "", f->module, f->module_state);
	doctor_print_fix(f);
	if (f->fix[0] && d->person.nosuid && strstr(f->fix, "setcap"))
		printf("%-15s ... with the program on a file system that is not mounted nosuid\n",
			"");
	if (f->gives[0])
		printf("%-15s would give: %s\n", "", f->gives);
}

static void put_person(struct jw *j, const struct doctor_person *p)
{
	jw_key(j, "user");
	jw_open(j, '{');
	jw_kv_u64(j, "uid", geteuid());
	jw_kv_string(j, "name", p->name);
	jw_kv_string(j, "groups", p->groups);
	jw_kv_bool(j, "container", p->container);
	jw_kv_string(j, "capabilities", p->effective);
	jw_kv_string(j, "file_capabilities", p->permitted);
	jw_kv_bool(j, "nosuid", p->nosuid);
	jw_kv_string(j, "perf_event_paranoid", p->paranoid[0] ? p->paranoid : NULL);
	jw_close(j, '}');
}

void doctor_put_state(struct jw *j, const struct doctor_finding *f)
{
	const struct rig_verdict *v = f->verdict;

	jw_kv_string(j, "name", v->ops->name);
	jw_kv_bool(j, "usable", v->error == 0);
	jw_kv_bool(j, "used", f->used);
	jw_kv_string(j, "reason", v->why.reason[0] ? v->why.reason : NULL);
	jw_kv_string(j, "fix", f->fix[0] ? f->fix : NULL);
}

static void put_finding(struct jw *j, const struct doctor_finding *f)
{
	jw_open(j, '{');
	doctor_put_state(j, f);
	jw_key(j, "denied");
	jw_open(j, '[');
	for (size_t i = 0; i < f->n_denied; i++) {
		const struct doctor_denied *n = &f->denied[i];
		char mode[8];

		snprintf(mode, sizeof(mode), "%04o", n->mode);
		jw_open(j, '{');
		jw_kv_string(j, "path", n->path);
		jw_kv_string(j, "owner", n->owner[0] ? n->owner : NULL);
		jw_kv_string(j, "group", n->owner[0] ? n->group : NULL);
		jw_kv_string(j, "mode", n->owner[0] ? mode : NULL);
		jw_kv_bool(j, "group_would_do", n->group_would_do);
		jw_close(j, '}');
	}
	jw_close(j, ']');
	jw_kv_string(j, "module", f->module[0] ? f->module_state : NULL);
	jw_kv_string(j, "would_give", f->gives[0] ? f->gives : NULL);
	jw_close(j, '}');
}

void doctor_print_json(const struct doctor *d)
{
	struct buf b = BUF_INIT;
	struct jw j = JW_INIT(&b);

	jw_open(&j, '{');
	jw_kv_u64(&j, "schema_version", SCHEMA_DOCTOR);
	jw_kv_bool(&j, "measures", rig_measures(d->rig));
	put_person(&j, &d->person);
	jw_key(&j, "sensors");
	jw_open(&j, '[');
	for (size_t i = 0; i < d->n; i++)
		if (d->findings[i].examined)
			put_finding(&j, &d->findings[i]);
	jw_close(&j, ']');
	jw_close(&j, '}');
	puts(buf_text(&b));
	buf_finish(&b);
}

void doctor_print_text(const struct doctor *d)
{
	print_person(&d->person);
	for (size_t i = 0; i < d->n; i++)
		if (d->findings[i].examined)
			print_finding(d, &d->findings[i]);
	if (rig_measures(d->rig))
		puts("\nSomething is measured here.");
	doctor_print_end(d);
}
