// SPDX-License-Identifier: MIT
/* Energy, time and the power between them: the one arithmetic, in integers, rounded down. 1 mW is
 * 1 uJ in a million nanoseconds. */
#ifndef PM_METER_POWER_H
#define PM_METER_POWER_H

#include "util/u128.h"

/* Mean power in microwatts; 0 over no time. */
static inline uint64_t power_uw(uint64_t energy_uj, uint64_t ns)
{
	return ns ? muldiv_u64(energy_uj, UINT64_C(1000000000), ns) : 0;
}

/* Mean power in milliwatts; 0 over no time. */
static inline uint64_t power_mw(uint64_t energy_uj, uint64_t ns)
{
	return ns ? muldiv_u64(energy_uj, 1000000, ns) : 0;
}

/* What a steady power uses in that time, in microjoules. */
static inline uint64_t power_energy_uj(uint64_t mw, uint64_t ns)
{
	return muldiv_u64(mw, ns, 1000000);
}

/* How long a steady power, not 0, needs to use that much. */
static inline uint64_t power_time_ns(uint64_t energy_uj, uint64_t mw)
{
	return muldiv_u64(energy_uj, 1000000, mw);
}

#endif
