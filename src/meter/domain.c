// SPDX-License-Identifier: MIT
#include "meter/domain.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static const char *const kind_names[KIND_COUNT][2] = {
	[KIND_CPU] = { "cpu", "CPU" },
	[KIND_DRAM] = { "dram", "DRAM" },
	[KIND_GPU] = { "gpu", "GPU" },
	[KIND_PLATFORM] = { "platform", "platform" },
};

const char *kind_name(enum kind kind)
{
	return kind_names[kind][0];
}

const char *kind_title(enum kind kind)
{
	return kind_names[kind][1];
}

bool kind_goes_by_cpu_time(enum kind kind)
{
	return kind == KIND_CPU || kind == KIND_DRAM;
}

const char *flag_name(unsigned index)
{
#define FLAG_NAME(name, bit) [bit] = #name,
	static const char *const names[FLAG_COUNT] = { READING_FLAGS(FLAG_NAME) };
#undef FLAG_NAME

	return names[index];
}

uint64_t domain_step_uj(const struct domain *d)
{
	uint64_t count_uj = d->unit_num / d->unit_den + 1;

	return d->step_uj > count_uj ? d->step_uj : count_uj;
}

const char *reading_error(int error)
{
	switch (error) {
	case -ESTALE:
		return "its counter stands still";
	case -EBADMSG:
		return "its counter showed a value that cannot be";
	default:
		return strerror(-error);
	}
}

void energy_add(struct energy *sum, struct energy e)
{
	double sd = hypot((double) sum->sd_uj, (double) e.sd_uj);

	sum->uj += e.uj;
	sum->low_uj += e.low_uj;
	sum->high_uj += e.high_uj;
	sum->sd_uj = (uint64_t) ceil(sd);
}

void energy_interval(struct energy e, uint64_t *ret_low_uj, uint64_t *ret_high_uj)
{
	uint64_t low_uj = e.uj > 2 * e.sd_uj ? e.uj - 2 * e.sd_uj : 0;
	uint64_t high_uj = e.uj + 2 * e.sd_uj;

	*ret_low_uj = low_uj > e.low_uj ? low_uj : e.low_uj;
	*ret_high_uj = high_uj < e.high_uj ? high_uj : e.high_uj;
}
