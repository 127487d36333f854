// SPDX-License-Identifier: MIT
#include "meter/rig_state.h"

#include <errno.h>
#include <stdlib.h>

const struct host *rig_host(const struct rig *rig)
{
	return rig->host;
}

size_t rig_n_domains(const struct rig *rig)
{
	return rig->n_domains;
}

const struct domain *rig_domain(const struct rig *rig, size_t i)
{
	return rig->domains[i];
}

const struct domain *const *rig_domains(const struct rig *rig)
{
	return rig->domains;
}

int rig_parent(const struct rig *rig, size_t i)
{
	int parent = rig->domains[i]->parent;

	if (parent < 0)
		return -1;
	for (size_t k = 0; k < rig->n_opened; k++)
		if (i >= rig->opened[k].first &&
			i < rig->opened[k].first + rig->opened[k].sensor->n_domains)
			return (int) rig->opened[k].first + parent;
	return -1;
}

const char *rig_quality_name(const struct domain *d)
{
	if (rig_is_simulated(d->sensor))
		return "simulated";
	switch (d->quality) {
	case FLAG_MEASURED:
		return "measured";
	case FLAG_INTEGRATED:
		return "integrated";
	default:
		return "estimated";
	}
}

bool rig_contains(const struct rig *rig, size_t outer, size_t inner)
{
	const struct domain *o = rig_domain(rig, outer), *d = rig_domain(rig, inner);

	if (outer == inner || !o->counted)
		return false;
	for (int i = rig_parent(rig, inner); i >= 0; i = rig_parent(rig, (size_t) i))
		if ((size_t) i == outer)
			return true;
	return o->covers & KIND_BIT(d->kind);
}

bool rig_is_outermost(const struct rig *rig, const bool *known, size_t i)
{
	if (!known[i] || !rig_domain(rig, i)->counted)
		return false;
	for (size_t k = 0; k < rig->n_domains; k++)
		if (known[k] && rig_contains(rig, k, i))
			return false;
	return true;
}

size_t rig_n_verdicts(const struct rig *rig)
{
	return rig->n_verdicts;
}

const struct rig_verdict *rig_verdict(const struct rig *rig, size_t i)
{
	return &rig->verdicts[i];
}

const char *rig_absent(const struct rig *rig)
{
	for (size_t i = 0; i < rig->n_verdicts; i++)
		if (rig->verdicts[i].why.absent)
			return rig->verdicts[i].why.reason;
	return NULL;
}

bool rig_is_simulated(const char *sensor)
{
	const struct sensor_ops *ops = sensor_find(sensor);

	return ops && ops->role == SENSOR_SIMULATED;
}

bool rig_measures(const struct rig *rig)
{
	for (size_t i = 0; i < rig->n_domains; i++)
		if (rig->domains[i]->quality != FLAG_ESTIMATED)
			return true;
	return false;
}

uint32_t rig_kinds(const struct rig *rig)
{
	uint32_t kinds = 0;

	for (size_t i = 0; i < rig->n_opened; i++)
		kinds |= rig->opened[i].kinds;
	return kinds;
}

void rig_want(struct rig *rig, uint32_t kinds)
{
	for (size_t i = 0; i < rig->n_domains; i++)
		if (!(rig->wanted & kinds & KIND_BIT(rig->domains[i]->kind)))
			unwrap_restart(&rig->unwraps[i]);
	for (size_t i = 0; i < rig->n_opened; i++)
		if (rig->opened[i].poller)
			poller_want(rig->opened[i].poller, kinds & rig->opened[i].shown);
	rig->wanted = kinds;
}

void rig_read(struct rig *rig, uint32_t kinds, struct reading *ret)
{
	for (size_t i = 0; i < rig->n_opened; i++) {
		struct opened *opened = &rig->opened[i];
		struct sensor *s = opened->sensor;
		struct reading *mine = ret + opened->first;
		int r = -EAGAIN;

		if (!(kinds & opened->shown)) {
			/* nothing of it is asked for */
		} else if (opened->poller) {
			poller_copy(opened->poller, host_now_ns(rig->host), mine);
			continue;
		} else {
			s->kinds = kinds;
			r = s->ops->read(s, mine);
		}
		for (size_t k = 0; k < s->n_domains; k++) {
			if (r < 0)
				mine[k] = (struct reading) { .error = r };
			else
				unwrap_step(
					&rig->unwraps[opened->first + k], &s->domains[k], &mine[k]);
		}
	}
}

void rig_users(struct rig *rig, size_t i, struct domain_users *ret)
{
	ret->n = 0;
	for (size_t k = 0; k < rig->n_opened; k++) {
		const struct opened *o = &rig->opened[k];

		if (o->poller && i >= o->first && i < o->first + o->sensor->n_domains)
			poller_users(o->poller, i - o->first, ret);
	}
}

bool rig_close(struct rig *rig, uint64_t timeout_ns)
{
	bool all = true;

	if (!rig)
		return true;
	all = !rig->abandoned;
	for (size_t i = 0; i < rig->n_opened; i++) {
		struct opened *opened = &rig->opened[i];

		if (opened->poller) {
			all &= poller_destroy(opened->poller, timeout_ns);
		} else {
			opened->sensor->ops->close(opened->sensor);
			free(opened->sensor);
		}
	}
	free(rig);
	return all;
}
