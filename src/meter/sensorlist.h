// SPDX-License-Identifier: MIT
/* The list of sensors as people write it: names with commas, where sim may name a script. */
#ifndef PM_METER_SENSORLIST_H
#define PM_METER_SENSORLIST_H

#include <stddef.h>

struct sensorlist {
	char names[256];      /* with commas, without the script */
	char sim_script[512]; /* of "sim:FILE"; empty: the built-in one */
};

/* Returns 0, or -EINVAL with the reason in words in ret_why. */
int sensorlist_parse(const char *text, struct sensorlist *ret, char *ret_why, size_t why_size);

#endif
