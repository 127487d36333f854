// SPDX-License-Identifier: MIT
#include "session/slices.h"

#include "meter/power.h"

static bool has_several_packages(const struct slice_owner *o)
{
	size_t n = 0;

	for (size_t d = 0; d < o->n_domains; d++)
		n += domain_adds_to(o->domains[d], KIND_CPU);
	return n > 1;
}

/* With several packages the kernel does not tell cheaply on which a process ran: it is then taken to
 * have run on all of them alike. */
const char *slice_rule(const struct slice_owner *o, enum slice_who who, enum kind kind, bool by_use)
{
	bool several = has_several_packages(o);

	if (by_use)
		return who == SLICE_TARGET  ? "sm-share"
			: who == SLICE_IDLE ? "idle-share"
					    : "remainder";
	if (!kind_goes_by_cpu_time(kind))
		return "none";
	switch (who) {
	case SLICE_TARGET:
		if (o->idle == IDLE_PROPORTIONAL)
			return several ? "busy-share-all-packages" : "busy-share";
		return several ? "capacity-share-all-packages" : "capacity-share";
	case SLICE_IDLE:
		return "idle-share";
	default:
		return "remainder";
	}
}

void slice_write(const struct slice_owner *o, const struct slice *slice)
{
	static const enum record_who whos[] = { WHO_PROCESS, WHO_IDLE, WHO_OTHER, WHO_REST };
	const struct domain *domain = o->domains[slice->domain];
	struct record r = { .type = RECORD_DETAIL,
		.wall_ns = (int64_t) slice->interval.to_ns + o->wall_offset_ns,
		.t_ns = slice->interval.to_ns,
		.interval_ns = slice->interval.ns,
		.kind = domain->kind,
		.domain = domain };

	for (size_t i = 0; i < slice->n_parts; i++) {
		const struct slice_part *part = &slice->parts[i];

		r.who = whos[part->who];
		r.pid = 0;
		r.name = NULL;
		if (part->who == SLICE_TARGET)
			o->name(o->ctx, part->slot, &r.pid, &r.name);
		r.energy = part->energy;
		r.power_uw = power_uw(part->energy.uj, slice->interval.ns);
		r.flags = part->flags;
		r.attribution = slice_rule(o, part->who, domain->kind, slice->by_use);
		o->record(o->ctx, &r);
	}
}
