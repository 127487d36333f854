// SPDX-License-Identifier: MIT
/* What there is to read. */
#include "lib/handle.h"

#include <errno.h>

/* Empty texts go out as NULL. */
static const char *text_or_null(const char *text)
{
	return *text ? text : NULL;
}

size_t pm_sensor_count(struct pm *pm)
{
	size_t n;

	if (pm_enter(pm) < 0)
		return 0;
	n = rig_n_verdicts(pm->meter->rig);
	pm_leave(pm);
	return n;
}

static int tell_sensor(const struct pm *pm, size_t i, struct pm_sensor *ret)
{
	const struct rig_verdict *v;
	struct pm_sensor sensor;

	if (i >= rig_n_verdicts(pm->meter->rig))
		return pm_fail(-EINVAL, "there is no sensor number %zu", i);
	v = rig_verdict(pm->meter->rig, i);
	sensor = (struct pm_sensor) {
		.name = v->ops->name,
		.usable = v->error == 0,
		.used = v->used,
		.needs_polling = v->error == -EAGAIN && v->ops->polled && !pm->polls,
		.error = v->error,
		.reason = text_or_null(v->why.reason),
		.fix = text_or_null(v->why.fix),
	};
	if (sensor.needs_polling)
		sensor.fix = "call pm_start_polling() before the first window";
	return pm_give(ret, &sensor, sizeof(sensor));
}

int pm_sensor(struct pm *pm, size_t i, struct pm_sensor *ret)
{
	int r = pm_enter(pm);

	if (r < 0)
		return r;
	r = tell_sensor(pm, i, ret);
	pm_leave(pm);
	return r;
}

size_t pm_domain_count(struct pm *pm)
{
	size_t n;

	if (pm_enter(pm) < 0)
		return 0;
	n = rig_n_domains(pm->meter->rig);
	pm_leave(pm);
	return n;
}

static int tell_domain(const struct pm *pm, size_t i, struct pm_domain *ret)
{
	const struct domain *d;
	struct pm_domain domain;

	if (i >= rig_n_domains(pm->meter->rig))
		return pm_fail(-EINVAL, "there is no domain number %zu", i);
	d = rig_domain(pm->meter->rig, i);
	domain = (struct pm_domain) {
		.name = d->name,
		.sensor = d->sensor,
		.scope = d->scope,
		.id = text_or_null(d->id),
		.model = text_or_null(d->model),
		.kind = (int) d->kind,
		.parent = rig_parent(pm->meter->rig, i),
		.counted = d->counted,
		.quality = d->quality,
		.update_ns = d->update_ns,
	};
	return pm_give(ret, &domain, sizeof(domain));
}

int pm_domain(struct pm *pm, size_t i, struct pm_domain *ret)
{
	int r = pm_enter(pm);

	if (r < 0)
		return r;
	r = tell_domain(pm, i, ret);
	pm_leave(pm);
	return r;
}

const char *pm_kind_name(int kind)
{
	return kind >= 0 && kind < KIND_COUNT ? kind_name((enum kind) kind) : NULL;
}
