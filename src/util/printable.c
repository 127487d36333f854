// SPDX-License-Identifier: MIT
#include "util/printable.h"

void printable(char *text)
{
	for (unsigned char *at = (unsigned char *) text; *at; at++) {
		if (*at < ' ' || *at == 0x7f) {
			*at = '?';
		} else if (*at == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f) {
			at[0] = at[1] = '?';
		}
	}
}
