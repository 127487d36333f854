// SPDX-License-Identifier: MIT
#include "cli/top/top_model.h"
#include "meter/ready.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

	going->ns += slice->interval.ns;
	going->whole_uj += slice->interval.energy_uj;
	for (size_t i = 0; i < slice->n_parts; i++) {
		const struct slice_part *part = &slice->parts[i];

		going->flags |= part->flags;
		switch (part->who) {
		case SLICE_TARGET:
			if (part->slot == TOP_ENDED_SLOT) {
				going->ended_uj += part->energy.uj;
				if (top_model_is_shared_kind(d->domain))
					m->ended_uj += part->energy.uj;
				break;
			}
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

bool top_model_is_ready(const struct top_model *m)
{
	return rig_is_ready(m->rig, KIND_ALL, snapshot_readings(m->snapshot));
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
	const struct account_watcher watcher = { .slice = take_slice, .ctx = m };
	int r = account_create(&m->account, rig_domains(m->rig), m->n_domains, &options, &watcher);

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
