// SPDX-License-Identifier: MIT
/* The list of sensors as people write it: names with commas, some of which may have a file. */
#ifndef PM_METER_SENSORLIST_H
#define PM_METER_SENSORLIST_H

#include <stddef.h>

struct sensorlist {
	char names[256]; /* with commas, without the file */
	char file[512];  /* of "NAME:FILE"; empty: none was named */
};

/* Returns 0, or -EINVAL with the reason in words in ret_why: an unknown sensor, a file behind a name that
 * takes none, or no list at all. */
int sensorlist_parse(const char *text, struct sensorlist *ret, char *ret_why, size_t why_size);

#endif
