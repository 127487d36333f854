// SPDX-License-Identifier: MIT
#include "sensors/rapl/rapl_unit.h"

#include "util/cleanup.h"

/* 2^-14 J, the coarsest unit but for the exceptions. */
#define STEP_UJ 62

enum quirk { ATOM_UNIT = 1, SERVER_DRAM = 2, JOULES_PSYS = 4 };

static unsigned quirks_of(const struct cpuinfo *cpu)
{
	static const struct {
		int model;
		unsigned quirks;
	} models[] = {
		{ 0x37, ATOM_UNIT },   /* Silvermont: Bay Trail */
		{ 0x4a, ATOM_UNIT },   /* Silvermont: Merrifield */
		{ 0x4c, ATOM_UNIT },   /* Airmont: Cherry Trail */
		{ 0x5a, ATOM_UNIT },   /* Airmont: Moorefield */
		{ 0x3f, SERVER_DRAM }, /* Haswell-EP */
		{ 0x4f, SERVER_DRAM }, /* Broadwell-EP */
		{ 0x56, SERVER_DRAM }, /* Broadwell-D */
		{ 0x55, SERVER_DRAM }, /* Skylake-SP, Cascade Lake, Cooper Lake */
		{ 0x6a, SERVER_DRAM }, /* Ice Lake-SP */
		{ 0x6c, SERVER_DRAM }, /* Ice Lake-D */
		{ 0x57, SERVER_DRAM }, /* Knights Landing */
		{ 0x85, SERVER_DRAM }, /* Knights Mill */
		{ 0x8f, JOULES_PSYS }, /* Sapphire Rapids */
		{ 0xcf, JOULES_PSYS }, /* Emerald Rapids */
	};

	if (cpu->vendor != CPU_INTEL || cpu->family != 6)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(models); i++)
		if (models[i].model == cpu->model)
			return models[i].quirks;
	return 0;
}

void rapl_unit(const struct cpuinfo *cpu, uint64_t unit, enum rapl_role role, struct domain *d)
{
	unsigned quirks = quirks_of(cpu), esu = (unit >> 8) & 0x1f;

	d->unit_num = 1000000;
	d->unit_den = UINT64_C(1) << esu;
	if (quirks & ATOM_UNIT) {
		d->unit_num = UINT64_C(1) << esu;
		d->unit_den = 1;
	}
	if ((quirks & SERVER_DRAM) && role == RAPL_DRAM)
		d->unit_den = 65536;
	if ((quirks & JOULES_PSYS) && role == RAPL_PSYS)
		d->unit_den = 1;
}

uint64_t rapl_step_uj(const struct cpuinfo *cpu, enum rapl_role role)
{
	return role == RAPL_PSYS && (quirks_of(cpu) & JOULES_PSYS) ? 1000000 : STEP_UJ;
}
