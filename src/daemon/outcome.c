// SPDX-License-Identifier: MIT
#include "daemon/outcome.h"

#include <stdarg.h>
#include <stdio.h>

#include "meter/power.h"
#include "util/format.h"
#include "util/printable.h"

struct text {
	char *at;
	size_t room;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(t->at, t->room, format, args);
	va_end(args);
	if (n < 0)
		return;
	if ((size_t) n >= t->room)
		n = t->room ? (int) t->room - 1 : 0;
	t->at += n;
	t->room -= (size_t) n;
}

/* What stands behind a figure that is not simply measured. */
static void put_flags(struct text *t, unsigned flags)
{
	if (flags & FLAG_ESTIMATED)
		put(t, " ESTIMATED");
	if (flags & FLAG_GAP)
		put(t, " GAP");
	if (flags & FLAG_RESET)
		put(t, " RESET, at least");
	if (flags & FLAG_LATE)
		put(t, " LATE");
	if (flags & FLAG_TAIL)
		put(t, " TAIL");
	if (flags & FLAG_DISPUTED)
		put(t, " DISPUTED");
}

static void put_total(struct text *t, const struct session_report *report, enum kind kind)
{
	const struct session_total *total = &report->totals[kind];
	char uj[32], low[32], high[32], watts[32];

	if (!total->known) {
		put(t, ", %s unknown", kind_title(kind));
		return;
	}
	format_micro(total->energy.uj, uj, sizeof(uj));
	format_micro(total->energy.low_uj, low, sizeof(low));
	format_micro(total->energy.high_uj, high, sizeof(high));
	format_micro(power_uw(total->energy.uj, report->seconds_ns), watts, sizeof(watts));
	put(t, ", %s", kind_title(kind));
	put_flags(t, total->flags);
	put(t, " %s J (%s to %s), mean %s W%s", uj, low, high, watts,
		kind == KIND_CPU ? "" : " for the whole device");
}

void outcome_text(const struct session_report *report, char *ret, size_t n)
{
	struct text t = { ret, n };

	put(&t, "pid %d (%s): %.3f s", (int) report->pid, report->name,
		(double) report->seconds_ns / 1e9);
	for (int k = 0; k < KIND_COUNT; k++)
		if (report->totals[k].asked)
			put_total(&t, report, (enum kind) k);
	put(&t, "; %s", report->ending);
	printable(ret);
}
