// SPDX-License-Identifier: MIT
/*
 * Sessions with everything around them played by the test: a machine on paper, a clock that is
 * set, and a sampler that takes snapshots on a grid, at deadlines and when it is told to. All that
 * the sessions write and say is kept.
 */
#ifndef PM_TEST_STUDIO_H
#define PM_TEST_STUDIO_H

#include "session/session.h"
#include "fakeclock.h"
#include "machine.h"

#define STUDIO_RECORDS 20000
#define STUDIO_SAYINGS 64
#define STUDIO_DEADLINES 64

struct studio_record {
	struct record r;
	char name[64];
	struct session_report session; /* with r.session */
	char ending[64];
	char create_ts[REQUEST_TS_MAX];
};

struct studio {
	struct machine m;
	struct fakeclock clock;
	struct session_options options;
	struct session_set *ss;

	/* The sampler. */
	struct target *targets[MACHINE_TARGETS]; /* by slot */
	unsigned adds, drops, wants, edges;
	uint32_t kinds;
	struct {
		uint32_t id;
		uint64_t t_ns;
	} deadlines[STUDIO_DEADLINES];
	size_t n_deadlines;
	uint64_t grid_ns; /* the shortest period */
	uint64_t next_tick_ns;
	bool fresh;        /* the next snapshot is the first of a series */
	uint64_t answered; /* edges that a snapshot stands behind */

	/* What each CPU-second of a target, and each second of a domain, is worth. */
	uint64_t watts[MACHINE_DOMAINS];
	uint32_t load_percent[MACHINE_TARGETS]; /* of one CPU, by slot */

	struct studio_record records[STUDIO_RECORDS];
	size_t n_records;
	struct {
		enum session_severity severity;
		char text[512];
	} sayings[STUDIO_SAYINGS];
	size_t n_sayings;
};

/* A package of 20 W (domain 0), two lines a second; more domains may be added before open(). */
void studio_init(struct studio *s);
void studio_open(struct studio *s);
void studio_close(struct studio *s);

/* A start event for these pids; returns what session_set_start() does, with the reason. */
int studio_start(struct studio *s, const int32_t *pids, size_t n_pids, uint32_t kinds,
	uint32_t seconds, size_t *ret_n, char ret_why[REQUEST_WHY_MAX]);

/* The same for one pid, which must be accepted. */
void studio_start_one(struct studio *s, int32_t pid, uint32_t kinds, uint32_t seconds);

/* Lets time pass, with all ticks, deadlines and edges that fall into it. */
void studio_run(struct studio *s, uint64_t ns);

/* Answers what was ordered so far, at once. */
void studio_answer(struct studio *s);

/* Forgets what was written and said. */
void studio_forget(struct studio *s);

size_t studio_count(const struct studio *s, enum record_type type, pid_t pid);

/* The number n (from 0) of that type for that pid; the test fails if there is none. */
const struct studio_record *studio_record(
	const struct studio *s, enum record_type type, pid_t pid, size_t n);

/* Whether something was said that contains the text. */
bool studio_said(const struct studio *s, const char *text);

#endif
