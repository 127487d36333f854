// SPDX-License-Identifier: MIT
/*
 * The detailed record of a stat: a line for each part of each reading, in a file or as a stream.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli/stat/stat.h"
#include "session/slices.h"

int stat_record_open(struct stat_state *s)
{
	char why[SINK_WHY_MAX];
	int r;

	if (!s->plan->record)
		return CLI_DONE;
	s->record = (struct sink) { .ops = &sink_jsonl, .options = { .path = s->plan->record } };
	s->wall_offset_ns = clock_wall_ns(&clock_system) - (int64_t) clock_mono_ns(&clock_system);
	/* A reader that goes away ends its stream, and not the measurement. */
	signal(SIGPIPE, SIG_IGN);
	r = sink_jsonl.open(&s->record, why, sizeof(why));
	return r < 0 ? cli_fail("stat", "--record %s", *why ? why : strerror(-r)) : CLI_DONE;
}

static void name_target(void *ctx, uint32_t slot, pid_t *ret_pid, const char **ret_name)
{
	const struct stat_state *s = ctx;

	if (slot == s->instrument.tool) {
		*ret_pid = getpid();
		*ret_name = "powermeasure";
		return;
	}
	for (size_t i = 0; i < s->n_whos; i++) {
		if (s->whos[i].slot != slot)
			continue;
		*ret_pid = s->whos[i].pid;
		*ret_name = s->whos[i].name;
		return;
	}
}

static void write_record(void *ctx, const struct record *r)
{
	struct stat_state *s = ctx;

	s->record.ops->write(&s->record, r);
}

void stat_record_slice(void *ctx, const struct slice *slice)
{
	struct stat_state *s = ctx;
	const struct slice_owner owner = { .domains = rig_domains(s->instrument.rig),
		.n_domains = rig_n_domains(s->instrument.rig),
		.wall_offset_ns = s->wall_offset_ns,
		.name = name_target,
		.record = write_record,
		.ctx = s };

	if (s->record.state)
		slice_write(&owner, slice);
}

void stat_record_flush(struct stat_state *s)
{
	int r;

	if (!s->record.state)
		return;
	r = s->record.ops->flush(&s->record, false);
	if (s->record_told || (r == 0 && !s->record.health.gone))
		return;
	s->record_told = true;
	if (s->record.health.gone)
		cli_fail("stat",
			"the record's reader at standard output has gone: no more of it is written, "
			"measuring goes on");
	else
		cli_fail("stat", "--record %s: %s: its lines wait until that is over",
			s->plan->record, strerror(-r));
}

void stat_record_close(struct stat_state *s)
{
	if (!s->record.ops)
		return;
	stat_record_flush(s);
	if (s->record.health.lost > 0)
		cli_fail("stat",
			"the record's reader did not keep up: %llu lines of it are left out",
			(unsigned long long) s->record.health.lost);
	s->record.ops->close(&s->record);
}
