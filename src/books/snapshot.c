// SPDX-License-Identifier: MIT
#include "books/snapshot.h"

#include <string.h>

void series_init(struct series *s, struct host *host, struct rig *rig)
{
	*s = (struct series) { .host = host, .rig = rig, .wants_idle = true };
}

void series_want(struct series *s, uint32_t kinds)
{
	rig_want(s->rig, kinds);
	s->restarted |= kinds & ~s->wanted;
	s->wanted = kinds;
	if (kinds == 0)
		s->begun = false;
}

static uint32_t part_of(const struct target *t, const struct domain_users *users)
{
	uint64_t ppm = 0;

	for (size_t i = 0; i < users->n; i++)
		if (t->ops->has(t, users->list[i].pid))
			ppm += users->list[i].ppm;
	return ppm < 1000000 ? (uint32_t) ppm : 1000000;
}

/* Once for each look, which is no more than once a second. */
static void find_users(struct series *s, const struct reading *readings,
	struct target *const *targets, size_t n_targets)
{
	struct domain_users users;
	size_t column = 0;

	for (size_t d = 0; d < rig_n_domains(s->rig); d++) {
		if (!rig_domain(s->rig, d)->tells_users)
			continue;
		if (readings[d].error == 0 && readings[d].looked_ns != s->users_ns[column]) {
			rig_users(s->rig, d, &users);
			for (size_t i = 0; i < n_targets; i++)
				targets[i]->used_ppm[column] = part_of(targets[i], &users);
			s->users_ns[column] = readings[d].looked_ns;
		}
		column++;
	}
}

void snapshot_take(struct series *s, uint32_t kinds, struct target *const *targets,
	size_t n_targets, unsigned flags, struct snapshot *ret)
{
	struct host *host = s->host;
	struct usage *usages;
	uint64_t t_ns = host_now_ns(host);

	/* A usage that cannot be read stays the old one: its own time tells. */
	if ((flags & SNAPSHOT_EDGE) || !s->begun || t_ns >= s->looked_ns + SERIES_USAGE_EVERY_NS) {
		if ((flags & SNAPSHOT_EDGE) || !s->begun || s->wants_idle)
			host_usage_update(host);
		else
			host_count_cpus(host);
		t_ns = s->looked_ns = host_now_ns(host);
	}
	if (!s->begun) {
		flags |= SNAPSHOT_FIRST;
		s->begun = true;
		s->capacity_ns = 0;
	} else {
		s->capacity_ns += (t_ns - s->last_ns) * host->usage.n_cpu;
	}
	s->last_ns = t_ns;
	*ret = (struct snapshot) {
		.size = (uint32_t) snapshot_size(rig_n_domains(s->rig), n_targets),
		.flags = flags,
		.t_ns = t_ns,
		.capacity_ns = s->capacity_ns,
		.idle_ns = host->usage.idle_known ? host->usage.idle_ns : 0,
		.idle_t_ns = host->usage.t_ns,
		.n_cpu = host->usage.n_cpu,
		.kinds = kinds,
		.restarted = s->restarted,
		.n_domains = (uint32_t) rig_n_domains(s->rig),
		.n_targets = (uint32_t) n_targets,
	};
	s->restarted = 0;
	usages = snapshot_usages(ret);
	for (size_t i = 0; i < n_targets; i++)
		targets[i]->ops->read(targets[i], t_ns, &usages[i]);
	rig_read(s->rig, kinds, snapshot_readings(ret));
	find_users(s, snapshot_readings(ret), targets, n_targets);
	for (size_t i = 0; i < n_targets; i++)
		memcpy(usages[i].used_ppm, targets[i]->used_ppm, sizeof(usages[i].used_ppm));
}
