// SPDX-License-Identifier: MIT
/*
 * Files that the user names are opened with the user's rights: what the program was given for reading
 * sensors (capabilities of its file, or a set-user-id bit) is not the user's.
 */
#ifndef PM_UTIL_ASUSER_H
#define PM_UTIL_ASUSER_H

#include <sys/types.h>

/* As open(2). Returns the descriptor or -errno. */
int asuser_open(const char *path, int flags, mode_t mode);

/* Makes effective which of the capabilities for reading sensors (CAP_PERFMON, CAP_DAC_READ_SEARCH) the
 * program is permitted. A file that has them "+p" starts with or without them; with "+ep" the kernel refuses
 * to start it where a container withholds one. */
void asuser_raise_sensor_rights(void);

#endif
