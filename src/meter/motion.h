// SPDX-License-Identifier: MIT
/* Whether a sensor's counters count: a register that is there, but that nobody counts with, shows
 * the same value forever. */
#ifndef PM_METER_MOTION_H
#define PM_METER_MOTION_H

#include "meter/sensor.h"

enum motion {
	MOTION_NONE,
	MOTION_SOME, /* of what must move, a part does */
	MOTION_ALL,
};

/* Reads an opened sensor that is not polled until all have moved that must, the counted domains of
 * the CPUs, or if there are none, any domain. That is known after about an update period; what
 * stands still is given three of them, 100 ms at least and a second at most. Of a captured machine its
 * two readings decide. */
enum motion sensor_motion(struct sensor *s);

#endif
