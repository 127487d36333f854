// SPDX-License-Identifier: MIT
#include "cli/top_model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/u128.h"

/* A domain that is not read in a refresh keeps its figures for so many of its periods or refreshes:
 * a sensor that tells once in two seconds is no gap. */
#define KEEP_PERIODS 3

/* Who uses a GPU is told once a second. */
#define LOOK_NS (2 * NS_PER_S)

bool top_model_is_shared_kind(const struct domain *d)
{
	return d->counted && d->kind != KIND_PLATFORM;
}

/* ---- what the books tell -------------------------------------------------------------------- */

static void take_slice(void *ctx, const struct slice *slice)
{
	struct top_model *m = ctx;
	struct top_domain *d = &m->domains[slice->domain];
	struct top_parts *going = &d->going;

	going->ns += slice->interval_ns;
	going->whole_uj += slice->energy_uj;
	for (size_t i = 0; i < slice->n_parts; i++) {
		const struct slice_part *part = &slice->parts[i];

		going->flags |= part->flags;
		switch (part->who) {
		case SLICE_TARGET:
			d->going_uj[part->slot] += part->energy.uj;
			if (part->slot == m->tool)
				going->tool_uj += part->energy.uj;
			else
				going->processes_uj += part->energy.uj;
			if (top_model_is_shared_kind(d->domain))
				m->processes.list[part->slot].total_uj += part->energy.uj;
			break;
		case SLICE_IDLE:
			going->idle_uj += part->energy.uj;
			break;
		case SLICE_REST:
			going->has_rest = true;
			going->other_uj += part->energy.uj;
			break;
		case SLICE_OTHER:
			going->other_uj += part->energy.uj;
			break;
		}
	}
}

/* ---- processes come and go ------------------------------------------------------------------ */

static int grow_list_of(uint64_t **list, uint32_t from, uint32_t to)
{
	uint64_t *p = realloc(*list, to * sizeof(*p));

	if (!p)
		return -ENOMEM;
	memset(p + from, 0, (to - from) * sizeof(*p));
	*list = p;
	return 0;
}

static int make_room(struct top_model *m, uint32_t n)
{
	struct snapshot *snapshot;
	int r = 0;

	if (n <= m->cap_slots)
		return 0;
	for (size_t i = 0; r == 0 && i < m->n_domains; i++) {
		r = grow_list_of(&m->domains[i].going_uj, m->cap_slots, n);
		if (r == 0)
			r = grow_list_of(&m->domains[i].slot_uw, m->cap_slots, n);
	}
	if (r == 0)
		r = grow_list_of(&m->slot_uw, m->cap_slots, n);
	if (r < 0)
		return r;
	snapshot = realloc(m->snapshot, snapshot_size(m->n_domains, n));
	if (!snapshot)
		return -ENOMEM;
	m->snapshot = snapshot;
	m->cap_slots = n;
	return 0;
}

static int on_make(void *ctx, uint32_t from, uint32_t to)
{
	struct top_model *m = ctx;
	int r = make_room(m, to);

	/* From the last on: then the books make room once. */
	for (uint32_t slot = to; r == 0 && slot > from; slot--)
		r = account_add_target(m->account, slot - 1);
	return r;
}

static void on_ended(void *ctx, uint32_t slot)
{
	struct top_model *m = ctx;

	/* What waits for a look at who uses a GPU must find the process in the books. */
	account_settle_uses(m->account);
	m->ended_uj += m->processes.list[slot].total_uj;
	for (size_t i = 0; i < m->n_domains; i++) {
		struct top_domain *d = &m->domains[i];

		d->going.processes_uj -= d->going_uj[slot];
		d->going.ended_uj += d->going_uj[slot];
		d->going_uj[slot] = d->slot_uw[slot] = 0;
	}
	m->slot_uw[slot] = 0;
}

/* ---- reading -------------------------------------------------------------------------------- */

/* Idle slots are in it, too, with no CPU time: see SPARE of top_processes.c. */
static void fill_usages(struct top_model *m)
{
	struct usage *usages;

	m->snapshot->n_domains = (uint32_t) m->n_domains;
	usages = snapshot_usages(m->snapshot);
	for (uint32_t slot = 0; slot < m->processes.n_slots; slot++) {
		const struct top_process *p = &m->processes.list[slot];

		usages[slot] = (struct usage) { .slot = slot, .cpu_ns = p->cpu_ns - p->before_ns };
	}
}

static void fill_users(struct top_model *m)
{
	const struct reading *readings = snapshot_readings(m->snapshot);
	struct usage *usages = snapshot_usages(m->snapshot);

	for (size_t i = 0; i < m->n_domains; i++) {
		struct top_domain *d = &m->domains[i];

		if (!d->domain->tells_users || readings[i].error || !readings[i].looked_ns)
			continue;
		if (d->users.looked_ns != readings[i].looked_ns)
			rig_users(m->rig, i, &d->users);
		for (size_t u = 0; u < d->users.n; u++) {
			uint32_t slot = top_processes_find(&m->processes, d->users.list[u].pid);

			if (slot != UINT32_MAX)
				usages[slot].used_ppm[d->column] += d->users.list[u].ppm;
		}
	}
}

void top_model_sample(struct top_model *m)
{
	uint32_t kinds = rig_kinds(m->rig);

	m->scan_error = top_processes_scan(&m->processes);
	m->tool = top_processes_find(&m->processes, m->tool_pid);
	/* The processes' clocks first: the time between them and the machine's is the same each
	 * time. Nothing behind the readings is touched by taking the snapshot. */
	fill_usages(m);
	snapshot_take(&m->series, kinds, NULL, 0, SNAPSHOT_EDGE, m->snapshot);
	m->snapshot->n_targets = m->processes.n_slots;
	m->snapshot->size = (uint32_t) snapshot_size(m->n_domains, m->processes.n_slots);
	fill_users(m);
	account_enter(m->account, m->snapshot);
	m->n_cpu = m->snapshot->n_cpu;
}

/* ---- figures -------------------------------------------------------------------------------- */

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

static uint64_t watts(uint64_t uj, uint64_t ns)
{
	return ns ? muldiv_u64(uj, NS_PER_S, ns) : 0;
}

static void say_why(const struct top_model *m, size_t i, struct top_domain *d)
{
	const struct reading *r = &snapshot_readings(m->snapshot)[i];

	if (r->error && r->error != -EAGAIN)
		snprintf(d->why, sizeof(d->why), "%s cannot be read: %s", d->domain->sensor,
			strerror(-r->error));
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
	d->power_uw = watts(d->parts.whole_uj, d->parts.ns);
	d->known_at_ns = m->t_ns;
	for (uint32_t slot = 0; slot < m->processes.n_slots; slot++) {
		d->slot_uw[slot] = d->going_uj[slot] ? watts(d->going_uj[slot], d->parts.ns) : 0;
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

/* What is counted and in nothing else that is known. */
static void close_machine(struct top_model *m)
{
	m->machine_known = m->machine_estimated = m->machine_simulated = false;
	m->machine_uw = 0;
	for (size_t i = 0; i < m->n_domains; i++) {
		struct top_domain *d = &m->domains[i];

		d->outermost = d->known && d->domain->counted;
		for (size_t k = 0; d->outermost && k < m->n_domains; k++)
			d->outermost = !(m->domains[k].known && rig_contains(m->rig, k, i));
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
		m->shares.processes_uw += watts(p->processes_uj, p->ns);
		m->shares.ended_uw += watts(p->ended_uj, p->ns);
		m->shares.tool_uw += watts(p->tool_uj, p->ns);
		m->shares.idle_uw += watts(p->idle_uj, p->ns);
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

bool top_model_is_ready(const struct top_model *m)
{
	const struct reading *readings = snapshot_readings(m->snapshot);

	for (size_t i = 0; i < m->n_domains; i++)
		if (readings[i].error == -EAGAIN)
			return false;
	return true;
}

/* ---- what cannot be measured ---------------------------------------------------------------- */

/* Who could tell of a kind, the likeliest first. */
static const char *const tellers[KIND_COUNT][6] = {
	[KIND_CPU] = { "rapl-powercap", "rapl-perf", "rapl-msr", "hwmon", "jetson" },
	[KIND_DRAM] = { "rapl-powercap", "rapl-perf", "rapl-msr", "jetson" },
	[KIND_GPU] = { "nvml", "hwmon", "jetson" },
	[KIND_PLATFORM] = { "rapl-powercap", "jetson", "rpi-pmic", "battery", "hwmon" },
};

static const struct rig_verdict *verdict_of(const struct rig *rig, const char *sensor)
{
	for (size_t i = 0; i < rig_n_verdicts(rig); i++)
		if (strcmp(rig_verdict(rig, i)->ops->name, sensor) == 0)
			return rig_verdict(rig, i);
	return NULL;
}

bool top_model_why(const struct top_model *m, enum kind kind, char *ret, size_t n)
{
	const struct rig_verdict *best = NULL;

	for (size_t i = 0; i < m->n_domains; i++)
		if (m->domains[i].domain->kind == kind)
			return false;
	for (size_t i = 0; i < ARRAY_SIZE(tellers[0]) && tellers[kind][i]; i++) {
		const struct rig_verdict *v = verdict_of(m->rig, tellers[kind][i]);

		/* What could be changed is worth more than what cannot. */
		if (v && (!best || (!best->why.fix[0] && v->why.fix[0])))
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

/* ---- making and freeing --------------------------------------------------------------------- */

static int make_domains(struct top_model *m)
{
	m->n_domains = rig_n_domains(m->rig);
	m->domains = calloc(m->n_domains ? m->n_domains : 1, sizeof(*m->domains));
	if (!m->domains)
		return -ENOMEM;
	for (size_t i = 0, column = 0; i < m->n_domains; i++) {
		m->domains[i].domain = rig_domain(m->rig, i);
		if (m->domains[i].domain->tells_users && column < METER_MAX_USED)
			m->domains[i].column = column++;
	}
	return 0;
}

static int make_books(struct top_model *m)
{
	const struct account_options options = { .tick_ns = m->host->tick_ns };
	const struct account_listener listener = { .slice = take_slice, .ctx = m };
	int r = account_create(&m->account, rig_domains(m->rig), m->n_domains, &options, &listener);

	for (size_t i = 0; r == 0 && i < m->n_domains; i++) {
		m->domains[i].mark = account_mark_new(m->account, ACCOUNT_NO_SLOT);
		if (!m->domains[i].mark)
			r = -ENOMEM;
	}
	return r;
}

static int begin(struct top_model *m)
{
	series_init(&m->series, m->host, m->rig);
	series_want(&m->series, rig_kinds(m->rig));
	top_model_sample(m);
	if (m->scan_error < 0)
		return m->scan_error;
	for (size_t i = 0; i < m->n_domains; i++)
		account_mark_renew(m->account, m->domains[i].mark);
	close_processes(m);
	m->begun_ns = m->t_ns = m->snapshot->t_ns;
	m->last_capacity_ns = m->snapshot->capacity_ns;
	m->last_idle_ns = m->snapshot->idle_ns;
	return 0;
}

int top_model_create(struct top_model **ret, struct host *host, struct rig *rig,
	const struct top_model_options *options)
{
	struct top_model *m = calloc(1, sizeof(*m));
	const struct top_processes_options processes = { .proc = options->proc,
		.clock = options->clock,
		.make = on_make,
		.ended = on_ended,
		.ctx = m };
	int r;

	if (!m)
		return -ENOMEM;
	m->host = host;
	m->rig = rig;
	m->tool = UINT32_MAX;
	m->tool_pid = options->tool;
	m->processes.proc_fd = -1;
	r = make_domains(m);
	if (r == 0)
		r = make_books(m);
	if (r == 0)
		r = make_room(m, 1);
	if (r == 0)
		r = top_processes_open(&m->processes, host, &processes);
	if (r == 0)
		r = begin(m);
	if (r < 0) {
		top_model_destroy(m);
		return r;
	}
	*ret = m;
	return 0;
}

void top_model_destroy(struct top_model *m)
{
	if (!m)
		return;
	top_processes_close(&m->processes);
	if (m->series.host)
		series_want(&m->series, 0);
	for (size_t i = 0; m->domains && i < m->n_domains; i++) {
		account_mark_free(m->domains[i].mark);
		free(m->domains[i].going_uj);
		free(m->domains[i].slot_uw);
	}
	account_destroy(m->account);
	free(m->domains);
	free(m->slot_uw);
	free(m->snapshot);
	free(m);
}
