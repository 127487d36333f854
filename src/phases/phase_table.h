// SPDX-License-Identifier: MIT
/*
 * What a measurement's phases amounted to: a line for each name.
 */
#ifndef PM_PHASES_PHASE_TABLE_H
#define PM_PHASES_PHASE_TABLE_H

#include "phases/phase_channel.h"
#include "phases/phase_meter.h"

struct jw;

struct phase_line {
	char name[64];
	uint64_t count;
	uint64_t unfinished; /* of these: they lasted until their thread or the measuring ended */
	uint64_t on_ns;      /* time that at least one was on */
	uint64_t sum_ns;     /* of each one's own time */
	struct phase_energy targets[KIND_COUNT]; /* of those who were asked about, meanwhile */
	struct phase_energy whole[KIND_COUNT];   /* of everything, meanwhile */
};

struct phase_table {
	struct phase_line *lines; /* in the order of their first markers */
	size_t n;
	struct phase_troubles troubles;
};

/* After phase_meter_finish(). before: the channel's troubles when it began; NULL: there were none.
 * Returns 0 or -ENOMEM. */
int phase_table_take(struct phase_table *ret, const struct phase_meter *m,
	const struct phase_channel *c, const struct phase_troubles *before);
void phase_table_finish(struct phase_table *r);

/* Adds one measurement's to those of others, name by name. Returns 0 or -ENOMEM. */
int phase_table_add(struct phase_table *sum, const struct phase_table *r);

/* What is to be told of it as members of an open JSON object: "phases" and "phase_markers".
 * targets: "command_energy_j" or the like. */
void phase_table_json(struct jw *j, const struct phase_table *r, const char *targets);

/* One line of it, without its braces. */
void phase_line_json(struct jw *j, const struct phase_line *line, const char *targets);

/* Sentences about what went wrong with markers; returns how many, in ret[0 .. n). */
#define PHASE_TABLE_SENTENCES 8
size_t phase_table_troubles(const struct phase_table *r, char ret[PHASE_TABLE_SENTENCES][256]);

#endif
