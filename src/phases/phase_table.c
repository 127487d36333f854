// SPDX-License-Identifier: MIT
#include "phases/phase_table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/jw.h"

/* ---- making ----------------------------------------------------------------------------- */

static void add_troubles(struct phase_troubles *sum, const struct phase_troubles *t)
{
	sum->lost += t->lost;
	sum->rubbish += t->rubbish;
	sum->refused += t->refused;
	sum->cut += t->cut;
	sum->unnamed += t->unnamed;
	sum->late += t->late;
	sum->misnested += t->misnested;
	sum->stray_ends += t->stray_ends;
	sum->unfinished += t->unfinished;
}

static void since(struct phase_troubles *t, const struct phase_troubles *before)
{
	t->lost -= before->lost;
	t->rubbish -= before->rubbish;
	t->refused -= before->refused;
	t->cut -= before->cut;
	t->unnamed -= before->unnamed;
}

int phase_table_take(struct phase_table *ret, const struct phase_meter *m,
	const struct phase_channel *c, const struct phase_troubles *before)
{
	struct phase_figures figures[PHASES_MAX_NAMES];
	size_t n = phases_list(phase_meter_phases(m), figures);
	struct phase_troubles own;

	*ret = (struct phase_table) { .lines = calloc(n + 1, sizeof(*ret->lines)) };
	if (!ret->lines)
		return -ENOMEM;
	phases_troubles(phase_meter_phases(m), &ret->troubles);
	phase_channel_troubles(c, &own);
	if (before)
		since(&own, before);
	add_troubles(&ret->troubles, &own);
	for (size_t i = 0; i < n; i++) {
		struct phase_line *line = &ret->lines[ret->n];

		/* Of a stray end nothing is known. */
		if (figures[i].count == 0)
			continue;
		ret->n++;
		snprintf(line->name, sizeof(line->name), "%s",
			phase_channel_name(c, figures[i].name));
		line->count = figures[i].count;
		line->unfinished = figures[i].unfinished;
		line->on_ns = figures[i].on_ns;
		line->sum_ns = figures[i].sum_ns;
		for (int k = 0; k < KIND_COUNT; k++) {
			phase_meter_energy(
				m, figures[i].name, (enum kind) k, true, &line->targets[k]);
			phase_meter_energy(
				m, figures[i].name, (enum kind) k, false, &line->whole[k]);
		}
	}
	return 0;
}

void phase_table_finish(struct phase_table *r)
{
	free(r->lines);
	*r = (struct phase_table) { 0 };
}

static struct phase_line *line_of(struct phase_table *r, const char *name)
{
	struct phase_line *lines;

	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->lines[i].name, name) == 0)
			return &r->lines[i];
	lines = realloc(r->lines, (r->n + 1) * sizeof(*lines));
	if (!lines)
		return NULL;
	r->lines = lines;
	lines[r->n] = (struct phase_line) { 0 };
	snprintf(lines[r->n].name, sizeof(lines[0].name), "%s", name);
	return &lines[r->n++];
}

int phase_table_add(struct phase_table *sum, const struct phase_table *r)
{
	add_troubles(&sum->troubles, &r->troubles);
	for (size_t i = 0; i < r->n; i++) {
		struct phase_line *to = line_of(sum, r->lines[i].name);

		if (!to)
			return -ENOMEM;
		to->count += r->lines[i].count;
		to->unfinished += r->lines[i].unfinished;
		to->on_ns += r->lines[i].on_ns;
		to->sum_ns += r->lines[i].sum_ns;
		for (int k = 0; k < KIND_COUNT; k++) {
			phase_energy_add(&to->targets[k], &r->lines[i].targets[k]);
			phase_energy_add(&to->whole[k], &r->lines[i].whole[k]);
		}
	}
	return 0;
}

/* ---- telling ---------------------------------------------------------------------------- */

static void put_energy(struct jw *j, const char *key, const struct phase_energy *e, uint64_t count)
{
	bool too_short = phase_is_too_short(e);

	jw_key(j, key);
	if (!e->known) {
		jw_null(j);
		return;
	}
	jw_open(j, '{');
	if (too_short) {
		jw_kv_null(j, "energy_j");
		jw_kv_null(j, "each_j");
	} else {
		jw_kv_micro(j, "energy_j", (int64_t) e->energy.uj);
		jw_kv_real(j, "each_j", (double) e->energy.uj / 1e6 / (double) count);
	}
	jw_kv_micro(j, "low_j", (int64_t) e->energy.low_uj);
	jw_kv_micro(j, "high_j", (int64_t) e->energy.high_uj);
	jw_kv_bool(j, "too_short", too_short);
	jw_key(j, "flags");
	jw_open(j, '[');
	for (unsigned i = 0; i < FLAG_COUNT; i++)
		if (e->flags & (1u << i))
			jw_string(j, flag_name(i));
	jw_close(j, ']');
	jw_close(j, '}');
}

void phase_line_json(struct jw *j, const struct phase_line *line, const char *targets)
{
	jw_kv_string(j, "name", line->name);
	jw_kv_u64(j, "count", line->count);
	jw_kv_u64(j, "unfinished", line->unfinished);
	jw_kv_micro(j, "elapsed_s", (int64_t) (line->on_ns / 1000));
	jw_kv_micro(j, "sum_s", (int64_t) (line->sum_ns / 1000));
	jw_key(j, targets);
	jw_open(j, '{');
	for (int k = KIND_CPU; k <= KIND_GPU; k++)
		put_energy(j, kind_name((enum kind) k), &line->targets[k], line->count);
	jw_close(j, '}');
	jw_key(j, "whole_energy_j");
	jw_open(j, '{');
	for (int k = KIND_CPU; k < KIND_COUNT; k++)
		put_energy(j, kind_name((enum kind) k), &line->whole[k], line->count);
	jw_close(j, '}');
}

void phase_table_json(struct jw *j, const struct phase_table *r, const char *targets)
{
	const struct phase_troubles *t = &r->troubles;

	jw_key(j, "phases");
	jw_open(j, '[');
	for (size_t i = 0; i < r->n; i++) {
		jw_open(j, '{');
		phase_line_json(j, &r->lines[i], targets);
		jw_close(j, '}');
	}
	jw_close(j, ']');
	jw_key(j, "phase_markers");
	jw_open(j, '{');
	jw_kv_u64(j, "unfinished", t->unfinished);
	jw_kv_u64(j, "stray_ends", t->stray_ends);
	jw_kv_u64(j, "misnested", t->misnested);
	jw_kv_u64(j, "lost", t->lost);
	jw_kv_u64(j, "late", t->late);
	jw_kv_u64(j, "rubbish", t->rubbish);
	jw_kv_u64(j, "threads_refused", t->refused);
	jw_kv_u64(j, "names_cut", t->cut);
	jw_kv_u64(j, "unnamed", t->unnamed);
	jw_close(j, '}');
}

size_t phase_table_troubles(const struct phase_table *r, char ret[PHASE_TABLE_SENTENCES][256])
{
	const struct phase_troubles *t = &r->troubles;
	const struct {
		uint64_t n;
		const char *text;
	} all[] = {
		{ t->lost,
			"markers of phases are lost, since they came faster than they could be "
			"taken: the phases that were on ended there" },
		{ t->unfinished,
			"phases had no end: they are taken to have lasted as long as their "
			"thread, or the measurement" },
		{ t->stray_ends, "ends of phases had no beginning: they do not count" },
		{ t->misnested, "phases ended while one that had begun later was still on" },
		{ t->rubbish,
			"markers of phases made no sense, and were left out: somebody wrote into "
			"the channel what is none" },
		{ t->late, "markers of phases came too late to be put where they belong" },
		{ t->refused,
			"threads found no place to mark phases: theirs are missing (256 threads "
			"can at a time)" },
		{ t->unnamed,
			"markers of phases had a name too many: a thread may use 64, a program "
			"256" },
	};
	size_t n = 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].n > 0)
			snprintf(ret[n++], sizeof(ret[0]), "%" PRIu64 " %s", all[i].n, all[i].text);
	return n;
}
