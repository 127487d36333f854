// SPDX-License-Identifier: MIT
#include "session/lines.h"

bool line_is_due(const struct line_clock *l, uint64_t t_ns, bool tick, uint64_t known_end_ns,
	enum line_end end)
{
	uint64_t passed_ns = t_ns - l->last_ns;

	if (t_ns <= l->last_ns)
		return false;
	switch (end) {
	case LINE_ENDS_AS_KNOWN:
		return true;
	case LINE_ENDS_EARLY:
		return !l->any || passed_ns >= l->period_ns / 4;
	case LINE_GOES_ON:
		break;
	}
	if (!tick || passed_ns < l->period_ns / 2)
		return false;
	return known_end_ns == 0 || known_end_ns <= t_ns || known_end_ns - t_ns > l->period_ns / 2;
}
