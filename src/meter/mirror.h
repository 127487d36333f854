// SPDX-License-Identifier: MIT
/*
 * Counters that are one: firmware that shows one counter for each of two sockets, a guest that has more
 * packages than its host. Equal values at several changes in a row cannot be chance.
 */
#ifndef PM_METER_MIRROR_H
#define PM_METER_MIRROR_H

#include "meter/sensor.h"

/* Looks at the counted counters of a sensor that was just opened, and leaves those that show the same as an
 * earlier one of the same kind out of the sums; why says so. Takes no time where no two of them have the same
 * value, as on most machines; else until they have changed, for a few seconds at most. */
void sensor_count_mirrors_once(struct sensor *s);

#endif
