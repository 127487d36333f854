// SPDX-License-Identifier: MIT
#include "cli/report/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "meter/excess.h"
#include "meter/twins.h"
#include "util/cleanup.h"
#include "util/format.h"
#include "util/printable.h"

/* Below so many of its sensor's update periods a run is too short for it. */
#define SHORT_PERIODS 20

/* More than this part of all CPU time used by others: the machine was not idle. */
#define BUSY_PERCENT 5

void warnings_add(struct warnings *w, const char *format, ...)
{
	va_list args;

	if (w->n == REPORT_MAX_WARNINGS)
		return;
	va_start(args, format);
	vsnprintf(w->text[w->n], sizeof(w->text[0]), format, args);
	va_end(args);
	printable(w->text[w->n]);
	for (size_t i = 0; i < w->n; i++)
		if (strcmp(w->text[i], w->text[w->n]) == 0)
			return;
	w->n++;
}

static void judge_domain(struct warnings *w, const struct domain *d, const struct domain_figures *f,
	const struct measurement *m, uint64_t interval_ns)
{
	char period[32];

	format_period(d->update_ns, period, sizeof(period));
	if (!f->known) {
		warnings_add(w,
			"%s %s: no energy is known: it was not read twice, since the run was too "
			"short for it or it cannot be read",
			d->sensor, d->name);
		return;
	}
	if (d->update_ns && m->elapsed_ns < SHORT_PERIODS * d->update_ns)
		warnings_add(w,
			"too short for %s %s, which is updated every %s only: repeat it with -r, "
			"or measure something longer",
			d->sensor, d->name, period);
	if (interval_ns && d->update_ns > interval_ns)
		warnings_add(w,
			"-I asks for rows faster than %s %s is updated (every %s): some will be "
			"empty",
			d->sensor, d->name, period);
	if (f->flags & FLAG_RESET)
		warnings_add(w, "%s %s: the counter fell or jumped meanwhile: energy is missing",
			d->sensor, d->name);
	if (f->flags & FLAG_DISPUTED)
		warnings_add(w,
			"%s %s: its energy counter and its power disagree by more than 5 %%",
			d->sensor, d->name);
	if (f->flags & FLAG_GAP)
		warnings_add(w, "%s %s: could not be read for a while", d->sensor, d->name);
	if (rig_is_simulated(d->sensor))
		warnings_add(w, "%s is simulated, as --sensors asked for", kind_title(d->kind));
	if (f->flags & FLAG_ESTIMATED)
		warnings_add(w,
			"%s is an estimate, no measurement (%s); `powermeasure list` tells how to "
			"get a measurement",
			kind_title(d->kind), d->model[0] ? d->model : d->name);
}

/* Sensors that should report the same and do not. */
static void judge_twins(struct warnings *w, const struct rig *rig, const struct measurement *m)
{
	uint64_t energy_uj[RIG_MAX_DOMAINS];
	struct twins twins[KIND_COUNT * RIG_MAX_SENSORS];
	size_t n;

	for (size_t i = 0; i < rig_n_domains(rig); i++)
		energy_uj[i] = m->domains[i].known ? m->domains[i].energy.uj : TWINS_UNKNOWN;
	n = twins_find(rig_domains(rig), rig_n_domains(rig), energy_uj, twins,
		sizeof(twins) / sizeof(twins[0]));
	for (size_t i = 0; i < n; i++) {
		char text[256];

		twins_text(&twins[i], "J", text, sizeof(text));
		warnings_add(w, "%s", text);
	}
}

/* Domains that report less than their parts. */
static void judge_parts(struct warnings *w, const struct rig *rig, const struct measurement *m)
{
	uint64_t energy_uj[RIG_MAX_DOMAINS];
	struct excess excess[8];
	size_t n;

	for (size_t i = 0; i < rig_n_domains(rig); i++)
		energy_uj[i] = m->domains[i].known ? m->domains[i].energy.uj : EXCESS_UNKNOWN;
	n = excess_find(rig, energy_uj, excess, ARRAY_SIZE(excess));
	for (size_t i = 0; i < n; i++) {
		char text[256];

		excess_text(rig, &excess[i], "J", text, sizeof(text));
		warnings_add(w, "%s", text);
	}
}

static void judge_scope(struct warnings *w, const struct host *h)
{
	char note[256];

	if (host_scope_note(h, note, sizeof(note)))
		warnings_add(w, "%s", note);
}

void warnings_judge(struct warnings *w, const struct rig *rig, const struct measurement *m,
	uint64_t interval_ns)
{
	judge_scope(w, rig_host(rig));
	for (size_t i = 0; i < rig_n_domains(rig); i++)
		if (rig_domain(rig, i)->counted)
			judge_domain(w, rig_domain(rig, i), &m->domains[i], m, interval_ns);
	judge_twins(w, rig, m);
	judge_parts(w, rig, m);
	if (m->kinds[KIND_DRAM].known && m->asked_cpu_ns)
		warnings_add(w,
			"DRAM energy is shared out by CPU time: it is not known who used the "
			"memory");
	if (m->kinds[KIND_GPU].known && !m->kinds[KIND_GPU].shared)
		warnings_add(w,
			"GPU energy is the whole device's: it is not known which process used it");
}

double warnings_judge_idle(struct warnings *w, const struct measurement *m)
{
	uint64_t given_ns = m->idle_ns + m->asked_cpu_ns + m->tool_cpu_ns;
	double cpus;

	/* Idle time moves in steps of 10 ms a CPU: over less nothing can be said. */
	if (!m->kinds[KIND_CPU].idle_known || m->elapsed_ns < NS_PER_S / 4 ||
		m->capacity_ns <= given_ns ||
		(m->capacity_ns - given_ns) * 100 <= m->capacity_ns * BUSY_PERCENT)
		return 0;
	cpus = (double) (m->capacity_ns - given_ns) / (double) m->elapsed_ns;
	warnings_add(w, "the machine was not idle: others kept %.1f CPUs busy", cpus);
	return cpus;
}
