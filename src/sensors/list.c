// SPDX-License-Identifier: MIT
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "meter/sensor.h"

extern const struct sensor_ops sensor_rapl_perf;
extern const struct sensor_ops sensor_rapl_powercap;
extern const struct sensor_ops sensor_rapl_msr;
extern const struct sensor_ops sensor_nvml;
extern const struct sensor_ops sensor_jetson;
extern const struct sensor_ops sensor_hwmon;
extern const struct sensor_ops sensor_rpi_pmic;
extern const struct sensor_ops sensor_battery;
extern const struct sensor_ops sensor_estimate;
extern const struct sensor_ops sensor_sim;
extern const struct sensor_ops sensor_sim_polled;

const struct sensor_ops *const sensor_list[] = {
	&sensor_rapl_perf,
	&sensor_rapl_powercap,
	&sensor_rapl_msr,
	&sensor_nvml,
	&sensor_jetson,
	&sensor_hwmon,
	&sensor_rpi_pmic,
	&sensor_battery,
	&sensor_estimate,
	&sensor_sim,
	&sensor_sim_polled,
	NULL,
};

const struct sensor_ops *sensor_find(const char *name)
{
	for (const struct sensor_ops *const *ops = sensor_list; *ops; ops++)
		if (strcmp((*ops)->name, name) == 0)
			return *ops;
	return NULL;
}

int sensor_refuse(struct sensor *s, int error, const char *fix, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(s->why.reason, sizeof(s->why.reason), format, args);
	va_end(args);
	snprintf(s->why.fix, sizeof(s->why.fix), "%s", fix ? fix : "");
	return error;
}

struct domain *sensor_add_domain(struct sensor *s)
{
	struct domain *d;

	if (s->n_domains == SENSOR_MAX_DOMAINS)
		return NULL;
	d = &s->domains[s->n_domains++];
	*d = (struct domain) { .sensor = s->ops->name,
		.id_public_at = sizeof(d->id) - 1,
		.parent = -1,
		.counted = true,
		.unit_num = 1,
		.unit_den = 1,
		.quality = FLAG_MEASURED };
	return d;
}
