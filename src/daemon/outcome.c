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

/* Why a figure is not simply a measured one. */
static void put_flags(struct text *t, unsigned flags)
{
	for (unsigned i = 0; i < FLAG_COUNT; i++)
		if (flags & ~(unsigned) (FLAG_MEASURED | FLAG_INTEGRATED) & (1u << i))
			put(t, " %s%s", flag_name(i), 1u << i == FLAG_RESET ? ", at least" : "");
}

static void put_energy(struct text *t, const struct energy *energy, uint64_t ns)
{
	char uj[32], low[32], high[32], watts[32];

	format_micro(energy->uj, uj, sizeof(uj));
	format_micro(energy->low_uj, low, sizeof(low));
	format_micro(energy->high_uj, high, sizeof(high));
	format_micro(power_uw(energy->uj, ns), watts, sizeof(watts));
	put(t, " %s J (%s to %s), mean %s W", uj, low, high, watts);
}

/* The line is about the process: its own part comes first, and the device's energy stands in for it
 * only where the part is not known. */
static void put_total(struct text *t, const struct session_report *report, enum kind kind)
{
	const struct session_total *total = &report->totals[kind];
	char device[32];

	if (!total->known) {
		put(t, ", %s unknown", kind_title(kind));
		return;
	}
	put(t, ", %s", kind_title(kind));
	put_flags(t, total->flags);
	put_energy(t, total->own_known ? &total->own : &total->energy, report->measured_ns);
	if (total->own_known) {
		format_micro(total->energy.uj, device, sizeof(device));
		put(t, " (whole device: %s J)", device);
	} else if (kind != KIND_CPU) {
		put(t, " for the whole device");
	}
}

void outcome_text(const struct session_report *report, char *ret, size_t n)
{
	struct text t = { ret, n };

	put(&t, "pid %d (%s): %.3f s", (int) report->pid, report->name,
		(double) report->measured_ns / 1e9);
	for (int k = 0; k < KIND_COUNT; k++)
		if (report->totals[k].asked)
			put_total(&t, report, (enum kind) k);
	put(&t, "; %s", session_ending_text(report->ending));
	printable(ret);
}
