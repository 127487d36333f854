// SPDX-License-Identifier: MIT
/* What must not leave a machine with a copy of its files: whatever tells which one of its kind it is. */
#ifndef PM_MACHINE_PRIVACY_H
#define PM_MACHINE_PRIVACY_H

#include <stdbool.h>

#include "util/buf.h"

/* Whether the file holds nothing but such a thing: a serial number, an address. */
bool privacy_is_private(const char *path);

/* Takes it out of the file's text: of a uevent stay the lines that name driver and slot, of cpuinfo
 * goes the board's serial number. */
void privacy_filter(const char *path, struct buf *text);

/* Puts zeros in the place of network and Bluetooth addresses; the length stays. Batteries of mice are
 * named by theirs. */
void privacy_hide_addresses(char *text);

#endif
