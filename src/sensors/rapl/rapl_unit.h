// SPDX-License-Identifier: MIT
/* What a count of RAPL's registers is worth. The exceptions by model are the kernel's:
 * drivers/powercap/intel_rapl_common.c and arch/x86/events/rapl.c. */
#ifndef PM_SENSORS_RAPL_RAPL_UNIT_H
#define PM_SENSORS_RAPL_RAPL_UNIT_H

#include "sensors/rapl/rapl.h"

/* Fills the domain's microjoules in one count from the processor's unit register. */
void rapl_unit(const struct cpuinfo *cpu, uint64_t unit, enum rapl_role role, struct domain *d);

/* The steps of a register whose unit the kernel has taken out of its counts, in microjoules. */
uint64_t rapl_step_uj(const struct cpuinfo *cpu, enum rapl_role role);

#endif
