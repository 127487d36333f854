// SPDX-License-Identifier: MIT
#include "util/format.h"

#include <inttypes.h>
#include <stdio.h>

void format_micro(uint64_t value, char *ret, size_t n)
{
	double v = (double) value / 1e6;
	int decimals = 0;

	if (value == 0) {
		snprintf(ret, n, "0");
		return;
	}
	/* Three significant figures, at most the six decimals that there are. */
	for (uint64_t limit = 100000000; value < limit && decimals < 6; limit /= 10)
		decimals++;
	snprintf(ret, n, "%.*f", decimals, v);
}

void format_period(uint64_t ns, char *ret, size_t n)
{
	if (ns >= 1000000000 && ns % 1000000000 == 0)
		snprintf(ret, n, "%" PRIu64 " s", ns / 1000000000);
	else if (ns >= 1000000)
		snprintf(ret, n, "%.4g ms", (double) ns / 1e6);
	else
		snprintf(ret, n, "%.4g us", (double) ns / 1e3);
}
