// SPDX-License-Identifier: MIT
/* What a reading of a sensor takes, measured before anybody waits for it in a tick. */
#ifndef PM_METER_READCOST_H
#define PM_METER_READCOST_H

#include "meter/sensor.h"

/* A sensor that takes longer than this is read in a thread of its own, that no tick be late. */
#define READCOST_MOST_NS NS_PER_MS

/* The shortest of a few readings of all domains of an opened sensor. */
uint64_t sensor_readcost_ns(struct sensor *s);

#endif
