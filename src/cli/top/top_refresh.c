// SPDX-License-Identifier: MIT
/*
 * What a refresh amounts to: the figures of domains, of the machine and of processes, made of what the
 * books told since the last one; and why some are not known.
 */
#include "cli/top/top_refresh.h"

#include <stdio.h>
#include <string.h>

#include "meter/power.h"
#include "util/cleanup.h"
#include "util/u128.h"

/* A domain that is not read in a refresh keeps its figures for so many of its periods or refreshes:
 * a sensor that tells once in two seconds is no gap. */
#define KEEP_PERIODS 3

/* Who uses a GPU is told once a second. */
#define LOOK_NS (2 * NS_PER_S)

uint64_t top_history_at(const struct top_history *h, size_t i)
{
	return i < h->n ? h->uw[(h->next + TOP_HISTORY - 1 - i) % TOP_HISTORY] : TOP_UNKNOWN;
}

static void keep(struct top_history *h, bool known, uint64_t uw)
{
	h->uw[h->next] = known ? uw : TOP_UNKNOWN;
	h->next = (h->next + 1) % TOP_HISTORY;
	if (h->n < TOP_HISTORY)
		h->n++;
}

static void say_why(const struct top_model *m, size_t i, struct top_domain *d)
{
	const struct reading *r = &snapshot_readings(m->snapshot)[i];

	if (r->error && r->error != -EAGAIN)
		snprintf(d->why, sizeof(d->why), "%s cannot be read: %s", d->domain->sensor,
			reading_error(r->error));
	else if (d->known_at_ns)
		snprintf(d->why, sizeof(d->why), "%s has told nothing new for %.0f s",
			d->domain->sensor, (double) (m->t_ns - d->known_at_ns) / 1e9);
	else
		snprintf(d->why, sizeof(d->why), "%s has not been read twice yet",
			d->domain->sensor);
}

/* Makes what went on since the last refresh the domain's figures. */
static void close_going(struct top_model *m, struct top_domain *d)
{
	d->parts = d->going;
	d->going = (struct top_parts) { 0 };
	d->known = d->fresh = d->shared = true;
	d->flags = d->parts.flags | d->domain->quality;
	d->power_uw = power_uw(d->parts.whole_uj, d->parts.ns);
	d->known_at_ns = m->t_ns;
	for (uint32_t slot = 0; slot < m->processes.n_slots; slot++) {
		d->slot_uw[slot] = d->going_uj[slot] ? power_uw(d->going_uj[slot], d->parts.ns) : 0;
		d->going_uj[slot] = 0;
	}
}

/* Energy that waits for a look at who used it is the domain's all the same. */
static bool take_unshared(struct top_model *m, size_t i, struct top_domain *d)
{
	struct span span;

	account_domain_since(m->account, d->mark, ACCOUNT_NO_SLOT, i, &span);
	if (!span.known || (d->known && m->t_ns - d->known_at_ns < LOOK_NS))
		return false;
	d->known = d->fresh = true;
	d->shared = false;
	d->flags = span.flags;
	d->power_uw = span.power_uw;
	return true;
}

static void close_domain(struct top_model *m, size_t i)
{
	struct top_domain *d = &m->domains[i];
	uint64_t keep_ns = KEEP_PERIODS *
		(d->domain->update_ns > m->elapsed_ns ? d->domain->update_ns : m->elapsed_ns);
	struct span span;

	d->fresh = false;
	if (keep_ns < LOOK_NS && d->domain->tells_users)
		keep_ns = LOOK_NS;
	if (d->going.ns > 0)
		close_going(m, d);
	else if (!d->domain->tells_users || !take_unshared(m, i, d))
		d->known = d->known && m->t_ns - d->known_at_ns <= keep_ns &&
			!snapshot_readings(m->snapshot)[i].error;
	if (!d->known) {
		d->shared = false;
		d->power_uw = 0;
		memset(d->slot_uw, 0, m->processes.n_slots * sizeof(*d->slot_uw));
		say_why(m, i, d);
	} else {
		d->why[0] = '\0';
	}
	account_domain_since(m->account, d->mark, ACCOUNT_NO_SLOT, i, &span);
	d->total_uj += span.known ? span.energy.uj : 0;
	account_mark_renew(m->account, d->mark);
	keep(&d->history, d->known, d->power_uw);
}

static void close_machine(struct top_model *m)
{
	bool known[RIG_MAX_DOMAINS];

	for (size_t i = 0; i < m->n_domains; i++)
		known[i] = m->domains[i].known;
	m->machine_known = m->machine_estimated = m->machine_simulated = false;
	m->machine_uw = 0;
	for (size_t i = 0; i < m->n_domains; i++) {
		struct top_domain *d = &m->domains[i];

		d->outermost = rig_is_outermost(m->rig, known, i);
		if (!d->outermost)
			continue;
		m->machine_known = true;
		m->machine_estimated |= (d->domain->quality & FLAG_ESTIMATED) != 0;
		m->machine_simulated |= rig_is_simulated(d->domain->sensor);
		m->machine_uw += d->power_uw;
	}
	keep(&m->machine, m->machine_known, m->machine_uw);
}

static void close_shares(struct top_model *m)
{
	m->shares_known = false;
	memset(&m->shares, 0, sizeof(m->shares));
	memset(m->slot_uw, 0, m->processes.n_slots * sizeof(*m->slot_uw));
	for (size_t i = 0; i < m->n_domains; i++) {
		const struct top_domain *d = &m->domains[i];
		const struct top_parts *p = &d->parts;

		if (!d->known || !top_model_is_shared_kind(d->domain))
			continue;
		m->shares_known = true;
		m->shares.whole_uw += d->power_uw;
		if (!d->shared) {
			m->shares.other_uw += d->power_uw;
			continue;
		}
		m->shares.processes_uw += power_uw(p->processes_uj, p->ns);
		m->shares.ended_uw += power_uw(p->ended_uj, p->ns);
		m->shares.tool_uw += power_uw(p->tool_uj, p->ns);
		m->shares.idle_uw += power_uw(p->idle_uj, p->ns);
		for (uint32_t slot = 0; slot < m->processes.n_slots; slot++)
			m->slot_uw[slot] += d->slot_uw[slot];
	}
	/* What rounding leaves of microwatts is in it. */
	m->shares.other_uw = m->shares.whole_uw - m->shares.processes_uw - m->shares.ended_uw -
		m->shares.tool_uw - m->shares.idle_uw;
}

static void close_processes(struct top_model *m)
{
	m->tool_cpu_ns = 0;
	for (uint32_t slot = 0; slot < m->processes.n_slots; slot++) {
		struct top_process *p = &m->processes.list[slot];
		uint64_t used_ns = p->cpu_ns - p->closed_ns;

		p->closed_ns = p->cpu_ns;
		if (slot == m->tool)
			m->tool_cpu_ns = used_ns;
		p->busy_ppm = m->elapsed_ns ? muldiv_u64(used_ns, 1000000, m->elapsed_ns) : 0;
	}
}

void top_model_refresh(struct top_model *m)
{
	uint64_t before_ns = m->t_ns;

	top_model_sample(m);
	m->t_ns = m->snapshot->t_ns;
	m->elapsed_ns = m->t_ns - before_ns;
	m->capacity_ns = m->snapshot->capacity_ns - m->last_capacity_ns;
	m->idle_ns = m->snapshot->idle_ns - m->last_idle_ns;
	m->last_capacity_ns = m->snapshot->capacity_ns;
	m->last_idle_ns = m->snapshot->idle_ns;
	if (m->idle_ns > m->capacity_ns)
		m->idle_ns = m->capacity_ns;
	m->refreshes++;
	for (size_t i = 0; i < m->n_domains; i++)
		close_domain(m, i);
	close_machine(m);
	close_shares(m);
	close_processes(m);
}

void top_model_reset(struct top_model *m)
{
	for (uint32_t slot = 0; slot < m->processes.n_slots; slot++)
		m->processes.list[slot].total_uj = 0;
	for (size_t i = 0; i < m->n_domains; i++)
		m->domains[i].total_uj = 0;
	m->ended_uj = 0;
	m->begun_ns = m->t_ns;
}

/* ---- what cannot be measured ---------------------------------------------------------------- */

bool top_model_why(const struct top_model *m, enum kind kind, char *ret, size_t n)
{
	const struct rig_verdict *best = NULL;

	for (size_t i = 0; i < m->n_domains; i++)
		if (m->domains[i].domain->kind == kind)
			return false;
	for (size_t i = 0; i < rig_n_verdicts(m->rig); i++) {
		const struct rig_verdict *v = rig_verdict(m->rig, i);

		if (!(v->ops->kinds & KIND_BIT(kind)))
			continue;
		/* What could be changed is worth more than what cannot. */
		if (!best || (!best->why.fix[0] && v->why.fix[0]))
			best = v;
	}
	if (!best)
		snprintf(ret, n, "no sensor tells it");
	else if (best->used)
		snprintf(ret, n, "%s tells nothing of it", best->ops->name);
	else
		snprintf(ret, n, "%s: %s%s%s", best->ops->name, best->why.reason,
			best->why.fix[0] ? "; try: " : "", best->why.fix);
	return true;
}
