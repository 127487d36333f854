// SPDX-License-Identifier: MIT
#include "machine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "machine/clock.h"
#include "test.h"

void machine_init(struct machine *m)
{
	memset(m, 0, sizeof(*m));
	m->n_cpu = 2;
	m->t_ns = 1000 * NS_PER_S;
	m->kinds = m->ticks = KIND_ALL;
}

size_t machine_add_domain(struct machine *m, const char *name, enum kind kind)
{
	size_t i = m->n_domains++;
	struct domain *d = &m->domains[i];

	assert_true(i < MACHINE_DOMAINS);
	*d = (struct domain) { .sensor = "paper",
		.kind = kind,
		.parent = -1,
		.counted = true,
		.unit_num = 1,
		.unit_den = 1,
		.update_ns = NS_PER_MS,
		.quality = FLAG_MEASURED };
	snprintf(d->name, sizeof(d->name), "%s", name);
	m->list[i] = d;
	m->readings[i] =
		(struct reading) { .t_ns = m->t_ns, .since_ns = m->t_ns, .flags = FLAG_MEASURED };
	return i;
}

struct usage *machine_target(struct machine *m, uint32_t slot)
{
	for (size_t i = 0; i < m->n_targets; i++)
		if (m->usages[i].slot == slot)
			return &m->usages[i];
	fail_msg("there is no target in slot %u", slot);
	return NULL;
}

void machine_add_target(struct machine *m, uint32_t slot)
{
	assert_true(m->n_targets < MACHINE_TARGETS);
	/* A process has used some time before anybody looks at it. */
	m->usages[m->n_targets++] = (struct usage) { .slot = slot, .cpu_ns = 123456789 };
}

void machine_drop_target(struct machine *m, uint32_t slot)
{
	*machine_target(m, slot) = m->usages[m->n_targets - 1];
	m->n_targets--;
}

void machine_pass(struct machine *m, uint64_t ns, uint64_t idle_ns)
{
	m->t_ns += ns;
	m->capacity_ns += ns * m->n_cpu;
	m->idle_ns += idle_ns;
	for (size_t i = 0; i < m->n_domains; i++)
		m->readings[i].t_ns = m->t_ns;
}

void machine_use(struct machine *m, uint32_t slot, uint64_t ns)
{
	machine_target(m, slot)->cpu_ns += ns;
}

void machine_draw(struct machine *m, size_t domain, uint64_t uj)
{
	m->readings[domain].energy_uj += uj;
}

struct snapshot *machine_snapshot(struct machine *m, unsigned flags)
{
	struct snapshot *s = (struct snapshot *) (void *) m->block;

	*s = (struct snapshot) { .size = (uint32_t) snapshot_size(m->n_domains, m->n_targets),
		.flags = flags,
		.t_ns = m->t_ns,
		.capacity_ns = m->capacity_ns,
		.idle_ns = m->idle_ns,
		.idle_t_ns = m->t_ns,
		.ordinal = m->ordinal,
		.n_cpu = m->n_cpu,
		.missed_ticks = m->missed_ticks,
		.kinds = m->kinds,
		.ticks = m->ticks,
		.restarted = m->restarted,
		.n_domains = (uint32_t) m->n_domains,
		.n_targets = (uint32_t) m->n_targets };
	assert_true(s->size <= sizeof(m->block));
	memcpy(snapshot_readings(s), m->readings, m->n_domains * sizeof(m->readings[0]));
	memcpy(snapshot_usages(s), m->usages, m->n_targets * sizeof(m->usages[0]));
	/* A domain that was not asked for has nothing to tell. */
	for (size_t i = 0; i < m->n_domains; i++)
		if (!(m->kinds & KIND_BIT(m->domains[i].kind)))
			snapshot_readings(s)[i] = (struct reading) { .error = -EAGAIN };
	m->missed_ticks = 0;
	m->restarted = 0;
	return s;
}
