// SPDX-License-Identifier: MIT
/*
 * What a rig is made of, for the files that choose its sensors and read them.
 */
#ifndef PM_METER_RIG_STATE_H
#define PM_METER_RIG_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "meter/poller.h"
#include "meter/rig.h"
#include "meter/unwrap.h"

struct opened {
	struct sensor *sensor;
	struct poller *poller; /* NULL: read in the tick */
	size_t first;          /* its domains are first .. first + n_domains */
	uint32_t kinds;        /* of its domains that count */
	uint32_t shown;        /* of all */
};

struct rig {
	struct host *host;
	struct opened opened[RIG_MAX_SENSORS];
	size_t n_opened;
	struct rig_verdict verdicts[RIG_MAX_SENSORS];
	size_t n_verdicts;
	const struct domain *domains[RIG_MAX_DOMAINS];
	struct unwrap unwraps[RIG_MAX_DOMAINS];
	size_t n_domains;
	uint32_t wanted;
	bool abandoned; /* a driver did not answer: its thread may still be there */
};

#endif
