// SPDX-License-Identifier: MIT
#include "phases/phase_meter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/u128.h"

/* What was seen of a domain last. */
struct seen {
	bool any;
	uint64_t t_ns;
	uint64_t shared_ns;
	uint64_t whole_uj;
	uint64_t capacity_ns;
	uint64_t cpu_ns;
	uint32_t holes;
	uint32_t gaps;
	unsigned target_flags; /* of what is not shared out yet */
};

struct phase_meter {
	struct phase_meter_options o; /* its slots are those below */
	struct phases *phases;
	struct seen *seen;
	uint32_t slots[];
};

static size_t whole_track(size_t domain)
{
	return 2 * domain;
}

static size_t targets_track(size_t domain)
{
	return 2 * domain + 1;
}

int phase_meter_create(
	struct phase_meter **ret, const struct phase_meter_options *o, uint64_t begin_ns)
{
	struct phase_meter *m = calloc(1, sizeof(*m) + o->n_slots * sizeof(m->slots[0]));
	struct phase_track *tracks = calloc(2 * o->n_domains + 1, sizeof(*tracks));
	int r = -ENOMEM;

	for (size_t i = 0; tracks && i < o->n_domains; i++) {
		const struct domain *d = o->domains[i];

		tracks[whole_track(i)] = tracks[targets_track(i)] =
			(struct phase_track) { .max_power_mw = d->max_power_mw,
				.scale_low_ppm = d->scale_low_ppm,
				.scale_high_ppm = d->scale_high_ppm };
	}
	if (m && tracks) {
		m->o = *o;
		m->o.slots = m->slots;
		memcpy(m->slots, o->slots, o->n_slots * sizeof(m->slots[0]));
		m->seen = calloc(o->n_domains + 1, sizeof(*m->seen));
		r = m->seen ? phases_create(&m->phases, tracks, 2 * o->n_domains, begin_ns) : r;
	}
	free(tracks);
	if (r < 0) {
		phase_meter_destroy(m);
		return r;
	}
	*ret = m;
	phase_meter_look(m, begin_ns);
	return 0;
}

void phase_meter_destroy(struct phase_meter *m)
{
	if (!m)
		return;
	phases_destroy(m->phases);
	free(m->seen);
	free(m);
}

void phase_meter_mark(void *meter, const struct phase_marker *marker)
{
	phases_mark(((struct phase_meter *) meter)->phases, marker);
}

/* What a clock that is a tick late for each running thread is worth. */
static uint64_t stale_uj(
	const struct phase_meter *m, const struct seen *old, const struct seen *now)
{
	uint64_t ns = now->t_ns - old->t_ns, cpu_ns = now->cpu_ns - old->cpu_ns;
	uint64_t capacity_ns = now->capacity_ns - old->capacity_ns;
	uint64_t runs = ns ? cpu_ns / ns + m->o.n_slots : m->o.n_slots;
	uint64_t n_cpu = ns ? (capacity_ns + ns / 2) / ns : 1;

	if (!old->any || capacity_ns == 0)
		return 0;
	return muldiv_u64(now->whole_uj - old->whole_uj,
		m->o.tick_ns * (runs < n_cpu ? runs : n_cpu), capacity_ns);
}

static void look_at(struct phase_meter *m, size_t i, uint64_t now_ns)
{
	const struct domain *d = m->o.domains[i];
	struct seen *old = &m->seen[i], now = { .any = true };
	struct phase_point whole = { 0 }, part = { 0 };
	struct account_stand stand = { 0 };
	bool known = false;

	for (size_t k = 0; k < (m->o.n_slots ? m->o.n_slots : 1); k++) {
		uint32_t slot = m->o.n_slots ? m->slots[k] : ACCOUNT_NO_SLOT;

		known = account_stand(m->o.account, slot, i, &stand);
		part.uj += stand.target_uj;
		now.cpu_ns += stand.cpu_ns;
	}
	if (!known || (old->any && stand.t_ns <= old->t_ns))
		return;
	now.t_ns = stand.t_ns;
	now.shared_ns = stand.shared_ns;
	now.whole_uj = stand.whole_uj;
	now.capacity_ns = stand.capacity_ns;
	now.holes = stand.holes;
	now.gaps = stand.gaps;
	whole = (struct phase_point) { .t_ns = stand.t_ns,
		.t_err_ns = stand.t_err_ns,
		.uj = stand.whole_uj,
		.doubt_uj = domain_step_uj(d),
		.flags = d->quality };
	if (old->any && now.gaps != old->gaps)
		whole.flags |= FLAG_GAP;
	if (old->any && now.holes != old->holes)
		whole.flags |= FLAG_RESET;
	now.target_flags = old->target_flags | whole.flags;
	phases_point(m->phases, whole_track(i), &whole);
	if (now.shared_ns > 0 && (!old->any || now.shared_ns > old->shared_ns)) {
		part.t_ns = now.shared_ns;
		part.t_err_ns = whole.t_err_ns;
		part.flags = now.target_flags;
		part.doubt_uj = whole.doubt_uj + 1;
		/* The clocks were read now, not when the energy was what it is. */
		if (kind_goes_by_cpu_time(d->kind)) {
			part.doubt_uj += stale_uj(m, old, &now);
			part.t_err_ns += now_ns > part.t_ns ? now_ns - part.t_ns : 0;
		}
		phases_point(m->phases, targets_track(i), &part);
		now.target_flags = 0;
	}
	*old = now;
}

void phase_meter_look(struct phase_meter *m, uint64_t now_ns)
{
	for (size_t i = 0; i < m->o.n_domains; i++)
		if (m->o.domains[i]->counted)
			look_at(m, i, now_ns);
	phases_settle(m->phases, now_ns);
}

void phase_meter_finish(struct phase_meter *m, uint64_t end_ns)
{
	phase_meter_look(m, end_ns);
	phases_finish(m->phases, end_ns);
}

const struct phases *phase_meter_phases(const struct phase_meter *m)
{
	return m->phases;
}

void phase_meter_energy(const struct phase_meter *m, uint32_t name, enum kind kind, bool targets,
	struct phase_energy *ret)
{
	*ret = (struct phase_energy) { 0 };
	for (size_t i = 0; i < m->o.n_domains; i++) {
		struct phase_energy one;

		if (!domain_adds_to(m->o.domains[i], kind))
			continue;
		phases_energy(m->phases, name, targets ? targets_track(i) : whole_track(i), &one);
		phase_energy_add(ret, &one);
	}
}
