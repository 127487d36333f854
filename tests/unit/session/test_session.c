// SPDX-License-Identifier: MIT
/* What becomes of requests, with real (sleeping) processes on a machine on paper. */
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "child.h"
#include "studio.h"
#include "util/cleanup.h"

#define CPU KIND_BIT(KIND_CPU)
#define GPU KIND_BIT(KIND_GPU)
#define DRAM KIND_BIT(KIND_DRAM)
#define J UINT64_C(1000000)
#define MS NS_PER_MS

static struct studio s;
static pid_t pids[3];

static int set_up(void **state)
{
	(void) state;
	for (size_t i = 0; i < 3; i++)
		pids[i] = child_start(child_sleep, NULL);
	studio_init(&s);
	s.watts[machine_add_domain(&s.m, "gpu-0", KIND_GPU)] = 150;
	studio_open(&s);
	return 0;
}

static int tear_down(void **state)
{
	(void) state;
	if (s.ss)
		studio_close(&s);
	for (size_t i = 0; i < 3; i++)
		child_end(pids[i]);
	return 0;
}

static uint32_t slot_of(pid_t pid)
{
	for (uint32_t slot = 0; slot < MACHINE_TARGETS; slot++)
		if (s.targets[slot] && s.targets[slot]->pid == pid)
			return slot;
	fail_msg("pid %d is not sampled", (int) pid);
	return 0;
}

static size_t lines_of(pid_t pid)
{
	return studio_count(&s, RECORD_LINE, pid);
}

static size_t device_lines(enum kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n_records; i++)
		n += s.records[i].r.type == RECORD_LINE && s.records[i].r.who == WHO_DEVICE &&
			s.records[i].r.kind == kind;
	return n;
}

static const struct session_report *end_of(pid_t pid, size_t n)
{
	return &studio_record(&s, RECORD_END, pid, n)->session;
}

static const char *ending_of(pid_t pid, size_t n)
{
	return studio_record(&s, RECORD_END, pid, n)->ending;
}

static void expect_refusal(
	const int32_t *list, size_t n, uint32_t kinds, int error, const char *reason)
{
	char why[REQUEST_WHY_MAX] = "";
	size_t accepted = 77;
	int r = studio_start(&s, list, n, kinds, 10, &accepted, why);

	if (r != error || !strstr(why, reason) || accepted != 77)
		fail_msg("%d, %zu, \"%s\"", r, accepted, why);
}

/* ---- one session ------------------------------------------------------------------------ */

static void test_ten_seconds(void **state)
{
	const struct session_report *end;
	const struct record *line;
	uint64_t sum_uj = 0;

	(void) state;
	studio_start_one(&s, pids[0], CPU, 10);
	assert_int_equal(s.adds, 1);
	assert_int_equal(s.kinds, CPU);
	assert_int_equal(s.edges, 1);
	assert_int_equal(session_set_active(s.ss), 1);
	assert_int_equal(s.n_records, 0);
	s.load_percent[slot_of(pids[0])] = 50;
	studio_run(&s, 11 * NS_PER_S);

	assert_int_equal(studio_count(&s, RECORD_BEGIN, pids[0]), 1);
	assert_int_equal(studio_record(&s, RECORD_BEGIN, pids[0], 0)->session.start_wall_ns,
		INT64_C(1692935459) * (int64_t) NS_PER_S);
	assert_int_equal(lines_of(pids[0]), 20);
	for (size_t i = 0; i < 20; i++) {
		line = &studio_record(&s, RECORD_LINE, pids[0], i)->r;
		assert_int_equal(line->who, WHO_PROCESS);
		assert_int_equal(line->kind, KIND_CPU);
		/* A quarter of the machine: 5 of 20 W. */
		assert_int_equal(line->power_uw, 5 * J);
		assert_int_equal(line->interval_ns, 500 * MS);
		assert_int_equal(line->wall_ns,
			INT64_C(1692935459) * (int64_t) NS_PER_S + (int64_t) ((i + 1) * 500 * MS));
		assert_string_equal(line->attribution, "capacity-share");
		assert_int_equal(line->flags, FLAG_MEASURED);
		sum_uj += line->energy.uj;
	}
	assert_int_equal(sum_uj, 50 * J);
	end = end_of(pids[0], 0);
	assert_string_equal(ending_of(pids[0], 0), "time is up");
	assert_string_equal(
		studio_record(&s, RECORD_END, pids[0], 0)->create_ts, "2026-11-22T10:00:00.000000");
	assert_int_equal(end->measured_ns, 10 * NS_PER_S);
	assert_int_equal(end->cpu_ns, 5 * NS_PER_S);
	assert_int_equal(end->end_wall_ns - end->start_wall_ns, 10 * NS_PER_S);
	assert_true(end->totals[KIND_CPU].asked && end->totals[KIND_CPU].known);
	assert_int_equal(end->totals[KIND_CPU].energy.uj, 50 * J);
	assert_false(end->totals[KIND_GPU].asked || end->totals[KIND_GPU].known);
	/* Everything is given back: no targets, no kinds, no ticks. */
	assert_int_equal(s.drops, 1);
	assert_int_equal(s.kinds, 0);
	assert_int_equal(s.n_deadlines, 0);
	assert_int_equal(session_set_active(s.ss), 0);
	assert_int_equal(s.n_sayings, 0);
}

/* The lines and the rest of each domain add up to what it used, in each interval. */
static void test_details(void **state)
{
	size_t n_intervals = 0;

	(void) state;
	studio_start_one(&s, pids[0], CPU | GPU, 3);
	studio_start_one(&s, pids[1], CPU, 2);
	s.load_percent[slot_of(pids[0])] = 33;
	s.load_percent[slot_of(pids[1])] = 71;
	studio_run(&s, 4 * NS_PER_S);
	for (size_t i = 0; i < s.n_records; i++) {
		const struct record *first = &s.records[i].r;
		uint64_t sum_uj = 0;

		if (first->type != RECORD_DETAIL ||
			(i > 0 && s.records[i - 1].r.t_ns == first->t_ns &&
				s.records[i - 1].r.domain == first->domain))
			continue;
		for (size_t k = i; k < s.n_records && s.records[k].r.type == RECORD_DETAIL &&
			s.records[k].r.t_ns == first->t_ns &&
			s.records[k].r.domain == first->domain;
			k++)
			sum_uj += s.records[k].r.energy.uj;
		assert_int_equal(
			sum_uj, (first->kind == KIND_CPU ? 20 : 150) * first->interval_ns / 1000);
		n_intervals++;
	}
	assert_int_equal(n_intervals, 12);
}

static void test_until_stopped(void **state)
{
	(void) state;
	studio_start_one(&s, pids[0], CPU, 0);
	studio_run(&s, 60 * NS_PER_S);
	assert_int_equal(lines_of(pids[0]), 120);
	assert_int_equal(s.n_deadlines, 0);
	/* 200 ms later: long enough for a line of its own. */
	studio_run(&s, 200 * MS);
	session_set_stop(s.ss, pids, 1);
	studio_answer(&s);
	assert_int_equal(lines_of(pids[0]), 121);
	assert_string_equal(ending_of(pids[0], 0), "stopped");
	assert_int_equal(end_of(pids[0], 0)->measured_ns, 60200 * MS);
	assert_int_equal(session_set_active(s.ss), 0);
}

/* A rest too short for a line is in the totals all the same. */
static void test_short_rest(void **state)
{
	(void) state;
	studio_start_one(&s, pids[0], CPU, 0);
	s.load_percent[slot_of(pids[0])] = 100;
	studio_run(&s, 600 * MS);
	session_set_stop(s.ss, pids, 1);
	studio_answer(&s);
	assert_int_equal(lines_of(pids[0]), 1);
	assert_int_equal(end_of(pids[0], 0)->totals[KIND_CPU].energy.uj, 6 * J);
}

static void test_stopped_before_first_snapshot(void **state)
{
	(void) state;
	studio_start_one(&s, pids[0], CPU, 10);
	session_set_stop(s.ss, pids, 1);
	assert_int_equal(s.n_records, 0);
	studio_run(&s, 2 * NS_PER_S);
	assert_int_equal(studio_count(&s, RECORD_BEGIN, pids[0]), 1);
	assert_int_equal(studio_count(&s, RECORD_END, pids[0]), 1);
	assert_int_equal(lines_of(pids[0]), 0);
	assert_int_equal(end_of(pids[0], 0)->measured_ns, 0);
	assert_false(end_of(pids[0], 0)->totals[KIND_CPU].known);
	assert_int_equal(s.drops, 1);
}

static void test_process_ends(void **state)
{
	uint32_t slot;

	(void) state;
	studio_start_one(&s, pids[0], CPU, 10);
	studio_start_one(&s, pids[1], CPU, 10);
	studio_run(&s, 1300 * MS);
	slot = slot_of(pids[0]);
	machine_target(&s.m, slot)->flags = USAGE_ENDED | USAGE_TAIL;
	machine_target(&s.m, slot)->tail_ns = 4 * MS;
	studio_run(&s, 200 * MS);
	assert_string_equal(ending_of(pids[0], 0), "the process ended");
	assert_int_equal(end_of(pids[0], 0)->measured_ns, 1500 * MS);
	assert_int_equal(lines_of(pids[0]), 3);
	assert_true(studio_record(&s, RECORD_LINE, pids[0], 2)->r.flags & FLAG_TAIL);
	assert_true(end_of(pids[0], 0)->totals[KIND_CPU].flags & FLAG_TAIL);
	/* The other one goes on. */
	assert_int_equal(session_set_active(s.ss), 1);
	studio_run(&s, 9 * NS_PER_S);
	assert_int_equal(lines_of(pids[1]), 20);
	assert_string_equal(ending_of(pids[1], 0), "time is up");
}

/* ---- several ---------------------------------------------------------------------------- */

/* Overlapping sessions of one process: sampled and logged once, each with its own totals. */
static void test_overlapping(void **state)
{
	(void) state;
	studio_start_one(&s, pids[0], CPU, 10);
	s.load_percent[slot_of(pids[0])] = 100;
	studio_run(&s, 5 * NS_PER_S);
	studio_start_one(&s, pids[0], CPU | GPU, 10);
	assert_int_equal(s.adds, 1);
	assert_int_equal(session_set_active(s.ss), 2);
	studio_run(&s, 11 * NS_PER_S);
	assert_int_equal(lines_of(pids[0]), 30);
	assert_int_equal(studio_count(&s, RECORD_BEGIN, pids[0]), 2);
	assert_int_equal(studio_count(&s, RECORD_END, pids[0]), 2);
	assert_int_equal(end_of(pids[0], 0)->totals[KIND_CPU].energy.uj, 100 * J);
	assert_int_equal(end_of(pids[0], 1)->totals[KIND_CPU].energy.uj, 100 * J);
	assert_int_equal(end_of(pids[0], 1)->totals[KIND_GPU].energy.uj, 1500 * J);
	assert_int_equal(device_lines(KIND_GPU), 20);
	assert_int_equal(s.drops, 1);
}

/* Sessions at any phase to each other: each process has its twenty lines. */
static void test_phases(void **state)
{
	(void) state;
	studio_start_one(&s, pids[0], CPU | GPU, 10);
	studio_run(&s, 1730 * MS);
	studio_start_one(&s, pids[1], CPU | GPU, 10);
	studio_run(&s, 1990 * MS);
	studio_start_one(&s, pids[2], CPU, 10);
	studio_run(&s, 12 * NS_PER_S);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(lines_of(pids[i]), 20);
	/* The GPU's lines are the device's: from the first beginning to the last end, 11.73 s. */
	assert_in_range(device_lines(KIND_GPU), 23, 24);
	assert_int_equal(end_of(pids[1], 0)->totals[KIND_GPU].energy.uj, 1500 * J);
}

static void test_several_pids(void **state)
{
	const int32_t twice[] = { pids[0], pids[1], pids[0], pids[2] };
	char why[REQUEST_WHY_MAX];
	size_t n;

	(void) state;
	assert_int_equal(studio_start(&s, twice, 4, CPU | GPU, 10, &n, why), 0);
	assert_int_equal(n, 3);
	assert_int_equal(s.adds, 3);
	studio_run(&s, 3 * NS_PER_S);
	/* One is stopped, the session goes on with the others. */
	session_set_stop(s.ss, &pids[1], 1);
	studio_run(&s, 8 * NS_PER_S);
	assert_int_equal(lines_of(pids[0]), 20);
	assert_int_equal(lines_of(pids[1]), 6);
	assert_int_equal(lines_of(pids[2]), 20);
	assert_string_equal(ending_of(pids[1], 0), "stopped");
	assert_string_equal(ending_of(pids[2], 0), "time is up");
	assert_int_equal(device_lines(KIND_GPU), 20);
}

/* A stop ends the listed pids in all their sessions, and no others. */
static void test_stop(void **state)
{
	const int32_t both[] = { pids[0], pids[1] };
	const int32_t list[] = { pids[1], getpid(), -4, 0x7ffffff0 };
	char why[REQUEST_WHY_MAX];
	size_t n;

	(void) state;
	assert_int_equal(studio_start(&s, both, 2, CPU, 0, &n, why), 0);
	studio_start_one(&s, pids[1], CPU, 30);
	studio_start_one(&s, pids[2], CPU, 30);
	studio_run(&s, 2 * NS_PER_S);
	session_set_stop(s.ss, list, 4);
	/* Nothing of a session ends before there is a snapshot of its end. */
	assert_int_equal(studio_count(&s, RECORD_END, pids[1]), 0);
	session_set_stop(s.ss, list, 4); /* again, while the first is on its way */
	studio_answer(&s);
	assert_int_equal(studio_count(&s, RECORD_END, pids[1]), 2);
	assert_int_equal(studio_count(&s, RECORD_END, pids[0]), 0);
	assert_int_equal(studio_count(&s, RECORD_END, pids[2]), 0);
	assert_int_equal(session_set_active(s.ss), 2);
	assert_int_equal(s.drops, 1);
	session_set_stop(s.ss, list, 0);
	session_set_stop(s.ss, list + 1, 3);
	assert_int_equal(session_set_active(s.ss), 2);
	/* All that is left. */
	session_set_stop_all(s.ss, ENDING_TOLD);
	studio_answer(&s);
	assert_string_equal(ending_of(pids[0], 0), "told to end");
	assert_string_equal(ending_of(pids[2], 0), "told to end");
	assert_int_equal(session_set_active(s.ss), 0);
	assert_int_equal(s.kinds, 0);
}

/* The same slot for another process: what an old snapshot says of it is not the new one's. */
static void test_slot_reused(void **state)
{
	const uint64_t hours = 7200 * NS_PER_S;
	uint32_t slot;

	(void) state;
	studio_start_one(&s, pids[0], CPU, 0);
	studio_start_one(&s, pids[1], CPU, 0);
	studio_run(&s, 1 * NS_PER_S);
	slot = slot_of(pids[0]);
	session_set_stop(s.ss, &pids[0], 1);
	studio_answer(&s);
	studio_start_one(&s, pids[2], CPU, 0);
	assert_int_equal(slot_of(pids[2]), slot);
	/* A snapshot that was taken before the new one was added, with the old one's last usage. */
	machine_pass(&s.m, 100 * MS, 0);
	machine_target(&s.m, slot)->cpu_ns = hours;
	machine_target(&s.m, slot)->flags = USAGE_ENDED;
	s.m.ordinal = s.edges - 1;
	session_set_enter(s.ss, machine_snapshot(&s.m, 0));
	assert_int_equal(studio_count(&s, RECORD_BEGIN, pids[2]), 0);
	machine_target(&s.m, slot)->cpu_ns = 5 * MS;
	machine_target(&s.m, slot)->flags = 0;
	s.load_percent[slot] = 50;
	studio_run(&s, 2 * NS_PER_S);
	assert_int_equal(studio_count(&s, RECORD_BEGIN, pids[2]), 1);
	assert_int_equal(studio_count(&s, RECORD_END, pids[2]), 0);
	assert_true(lines_of(pids[2]) >= 3);
	assert_int_equal(studio_record(&s, RECORD_LINE, pids[2], 1)->r.power_uw, 5 * J);
}

/* ---- refusals --------------------------------------------------------------------------- */

static void test_refusals(void **state)
{
	const int32_t bad[] = { 0, -1, INT32_MIN, 0x7ffffff0 };
	const int32_t some[] = { 0x7ffffff0, pids[0], -7 };
	char why[REQUEST_WHY_MAX];
	size_t n;

	(void) state;
	expect_refusal(NULL, 0, CPU, -EINVAL, "names no pids");
	expect_refusal(&pids[0], 1, DRAM, -ENODEV, "no sensor for DRAM");
	expect_refusal(bad, 1, CPU, -ESRCH, "pid 0 is no process");
	expect_refusal(bad, 4, CPU, -ESRCH, "pid 0 is no process");
	expect_refusal(bad + 3, 1, CPU, -ESRCH, "there is no process 2147483632");
	assert_int_equal(session_set_active(s.ss), 0);
	assert_int_equal(s.adds + s.edges + s.wants, 0);
	studio_forget(&s);
	/* Good pids beside bad ones are measured, the bad ones are told. */
	assert_int_equal(studio_start(&s, some, 3, CPU, 1, &n, why), 0);
	assert_int_equal(n, 1);
	assert_true(studio_said(&s, "there is no process 2147483632"));
	assert_true(studio_said(&s, "pid -7 is no process"));
	studio_run(&s, 2 * NS_PER_S);
	assert_int_equal(lines_of(pids[0]), 2);
}

static void test_zombie_refused(void **state)
{
	pid_t pid = child_start(child_sleep, NULL);

	(void) state;
	child_kill(pid);
	expect_refusal(&pid, 1, CPU, -ESRCH, "there is no process");
	child_reap(pid);
	expect_refusal(&pid, 1, CPU, -ESRCH, "there is no process");
}

/* What no sensor tells is said, and the rest is measured. */
static void test_missing_kind(void **state)
{
	(void) state;
	studio_start_one(&s, pids[0], CPU | GPU | DRAM, 1);
	assert_true(studio_said(&s, "no sensor for DRAM"));
	assert_int_equal(s.kinds, CPU | GPU);
	studio_run(&s, 2 * NS_PER_S);
	assert_true(end_of(pids[0], 0)->totals[KIND_DRAM].asked);
	assert_false(end_of(pids[0], 0)->totals[KIND_DRAM].known);
	assert_int_equal(end_of(pids[0], 0)->totals[KIND_GPU].energy.uj, 150 * J);
}

static void test_too_many_lines(void **state)
{
	const int32_t eleven[11] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };

	(void) state;
	studio_close(&s);
	s.options.period_ns[KIND_CPU] = MS;
	studio_open(&s);
	expect_refusal(eleven, 11, CPU, -E2BIG, "11000 lines a second");
	/* At the rate of the GPU it would go. */
	studio_start_one(&s, pids[0], GPU, 1);
	studio_run(&s, 10 * MS);
}

static void test_too_many_sessions(void **state)
{
	pid_t own[SESSIONS_MAX / SESSIONS_PER_PROCESS_MAX];

	(void) state;
	for (size_t p = 0; p < ARRAY_SIZE(own); p++) {
		own[p] = child_start(child_sleep, NULL);
		for (int i = 0; i < SESSIONS_PER_PROCESS_MAX; i++)
			studio_start_one(&s, own[p], CPU, 0);
		if (p == 0)
			expect_refusal(&own[0], 1, CPU, -ESRCH, "more than 256 sessions");
	}
	assert_int_equal(session_set_active(s.ss), SESSIONS_MAX);
	expect_refusal(&pids[0], 1, CPU, -E2BIG, "more than 1024 sessions");
	assert_int_equal(s.adds, ARRAY_SIZE(own));
	studio_run(&s, NS_PER_S);
	assert_int_equal(lines_of(own[0]), 2);
	session_set_stop(s.ss, own, ARRAY_SIZE(own));
	studio_answer(&s);
	assert_int_equal(studio_count(&s, RECORD_END, own[0]), SESSIONS_PER_PROCESS_MAX);
	studio_start_one(&s, pids[0], CPU, 1);
	for (size_t p = 0; p < ARRAY_SIZE(own); p++)
		child_end(own[p]);
}

/* What one connection asks for leaves room for others. */
static void test_a_burst_of_sessions_by_one_sender(void **state)
{
	struct request *e = calloc(1, sizeof(*e));
	char why[REQUEST_WHY_MAX];
	size_t n;

	(void) state;
	e->kind = REQUEST_START;
	e->n_pids = 1;
	e->kinds = CPU;
	e->start_now = true;
	e->sender = 7;
	for (int i = 0; i < SESSIONS_PER_SENDER_MAX; i++) {
		e->pids[0] = pids[i % 3];
		assert_int_equal(session_set_start(s.ss, e, &n, why, sizeof(why)), 0);
	}
	assert_int_equal(session_set_start(s.ss, e, &n, why, sizeof(why)), -E2BIG);
	assert_non_null(strstr(why, "more than 256 sessions of one sender"));
	e->sender = 8;
	assert_int_equal(session_set_start(s.ss, e, &n, why, sizeof(why)), 0);
	free(e);
}

/* ---- scheduled -------------------------------------------------------------------------- */

static void start_at(pid_t pid, int64_t wall_ns, uint32_t seconds)
{
	struct request *e = calloc(1, sizeof(*e));
	char why[REQUEST_WHY_MAX];
	size_t n;

	e->kind = REQUEST_START;
	e->pids[0] = pid;
	e->n_pids = 1;
	e->kinds = CPU;
	e->seconds = seconds;
	e->start_wall_ns = wall_ns;
	assert_int_equal(session_set_start(s.ss, e, &n, why, sizeof(why)), 0);
	free(e);
}

static void test_scheduled(void **state)
{
	int64_t now_ns = s.clock.wall_ns, next_ns = 0;

	(void) state;
	assert_false(session_set_next_start(s.ss, &next_ns));
	/* A time in the past means at once. */
	start_at(pids[2], now_ns - 5, 1);
	assert_int_equal(session_set_active(s.ss), 1);
	start_at(pids[0], now_ns + 60 * (int64_t) NS_PER_S, 10);
	start_at(pids[1], now_ns + 30 * (int64_t) NS_PER_S, 10);
	assert_int_equal(session_set_active(s.ss), 1);
	assert_true(session_set_next_start(s.ss, &next_ns));
	assert_int_equal(next_ns, now_ns + 30 * (int64_t) NS_PER_S);
	studio_run(&s, 20 * NS_PER_S);
	assert_int_equal(session_set_active(s.ss), 0);
	session_set_begin_due(s.ss);
	assert_int_equal(s.adds, 1);
	studio_run(&s, 10 * NS_PER_S);
	session_set_begin_due(s.ss);
	assert_int_equal(s.adds, 2);
	studio_run(&s, 30 * NS_PER_S);
	assert_int_equal(lines_of(pids[1]), 20);
	assert_int_equal(
		studio_record(&s, RECORD_BEGIN, pids[1], 0)->session.start_wall_ns, next_ns);
	assert_true(session_set_next_start(s.ss, &next_ns));
	assert_int_equal(next_ns, now_ns + 60 * (int64_t) NS_PER_S);
	session_set_begin_due(s.ss);
	studio_run(&s, 11 * NS_PER_S);
	assert_int_equal(lines_of(pids[0]), 20);
	assert_false(session_set_next_start(s.ss, &next_ns));
}

/* Lengths are monotonic time: that the clock is set does not change them. */
static void test_clock_set(void **state)
{
	int64_t now_ns = s.clock.wall_ns;

	(void) state;
	studio_start_one(&s, pids[0], CPU, 10);
	start_at(pids[1], now_ns + 3600 * (int64_t) NS_PER_S, 10);
	studio_run(&s, 2 * NS_PER_S);
	s.clock.wall_ns += 7200 * (int64_t) NS_PER_S;
	session_set_begin_due(s.ss);
	studio_run(&s, 4 * NS_PER_S);
	s.clock.wall_ns -= 100000 * (int64_t) NS_PER_S;
	studio_run(&s, 10 * NS_PER_S);
	assert_int_equal(lines_of(pids[0]), 20);
	assert_int_equal(lines_of(pids[1]), 20);
	assert_int_equal(end_of(pids[0], 0)->measured_ns, 10 * NS_PER_S);
}

static void test_scheduled_stopped(void **state)
{
	int64_t later_ns = s.clock.wall_ns + 60 * (int64_t) NS_PER_S, next_ns;

	(void) state;
	start_at(pids[0], later_ns, 10);
	start_at(pids[0], later_ns + 1, 10);
	start_at(pids[1], later_ns + 2, 10);
	session_set_stop(s.ss, pids, 1);
	assert_true(session_set_next_start(s.ss, &next_ns));
	assert_int_equal(next_ns, later_ns + 2);
	assert_true(studio_said(&s, "stopped before it began"));
	session_set_stop_all(s.ss, ENDING_TERMINATED);
	assert_false(session_set_next_start(s.ss, &next_ns));
	/* Nothing was ever sampled or recorded for it. */
	assert_int_equal(s.adds + s.edges + (unsigned) s.n_records, 0);
}

/* Who is meant is decided when the event arrives: a process that ended meanwhile has ended, and a
 * pid that was used again is another one. */
static void test_scheduled_process_gone(void **state)
{
	pid_t pid = child_start(child_sleep, NULL);
	struct usage usage;
	uint32_t slot;

	(void) state;
	start_at(pid, s.clock.wall_ns + 5 * (int64_t) NS_PER_S, 10);
	child_end(pid);
	studio_run(&s, 5 * NS_PER_S);
	session_set_begin_due(s.ss);
	slot = slot_of(pid);
	s.targets[slot]->ops->read(s.targets[slot], 0, &usage);
	assert_true(usage.flags & USAGE_ENDED);
	*machine_target(&s.m, slot) = usage;
	studio_run(&s, 1 * NS_PER_S);
	assert_string_equal(ending_of(pid, 0), "the process ended");
	assert_int_equal(end_of(pid, 0)->measured_ns, 0);
	assert_int_equal(lines_of(pid), 0);
	assert_int_equal(session_set_active(s.ss), 0);
}

/* ---- trouble ---------------------------------------------------------------------------- */

/* Without a valid reading no line is written; the next one covers the time. */
static void test_failing_sensor(void **state)
{
	const struct record *line;

	(void) state;
	studio_start_one(&s, pids[0], CPU, 10);
	s.load_percent[slot_of(pids[0])] = 100;
	studio_run(&s, 2 * NS_PER_S);
	s.m.readings[0].error = -EIO;
	studio_run(&s, 2 * NS_PER_S);
	assert_int_equal(lines_of(pids[0]), 4);
	assert_true(studio_said(&s, "cannot be read: Input/output error"));
	assert_int_equal(s.n_sayings, 1);
	s.m.readings[0].error = 0;
	studio_run(&s, 7 * NS_PER_S);
	assert_true(studio_said(&s, "can be read again, after 2.0 s"));
	assert_int_equal(s.n_sayings, 2);
	line = &studio_record(&s, RECORD_LINE, pids[0], 4)->r;
	assert_int_equal(line->interval_ns, 2500 * MS);
	assert_int_equal(line->power_uw, 10 * J);
	assert_true(line->flags & FLAG_GAP);
	assert_int_equal(lines_of(pids[0]), 16);
	assert_int_equal(end_of(pids[0], 0)->totals[KIND_CPU].energy.uj, 100 * J);
	assert_true(end_of(pids[0], 0)->totals[KIND_CPU].flags & FLAG_GAP);
}

/* An interval with a hole in it is no line, and no watts are made up for it. */
static void test_counter_restarts(void **state)
{
	(void) state;
	studio_start_one(&s, pids[0], CPU, 10);
	s.load_percent[slot_of(pids[0])] = 100;
	studio_run(&s, 2200 * MS);
	s.m.readings[0].energy_uj = 0;
	s.m.readings[0].since_ns = s.m.t_ns;
	studio_run(&s, 8 * NS_PER_S);
	assert_true(studio_said(&s, "the counter fell"));
	assert_int_equal(lines_of(pids[0]), 19);
	for (size_t i = 0; i < 19; i++) {
		const struct record *line = &studio_record(&s, RECORD_LINE, pids[0], i)->r;

		assert_int_equal(line->power_uw, 10 * J);
		assert_int_equal(line->flags, FLAG_MEASURED);
	}
	assert_true(end_of(pids[0], 0)->totals[KIND_CPU].flags & FLAG_RESET);
	/* Half a second of 10 W is not known. */
	assert_int_equal(end_of(pids[0], 0)->totals[KIND_CPU].energy.uj, 95 * J);
}

static void test_abandoned(void **state)
{
	(void) state;
	studio_start_one(&s, pids[0], CPU, 0);
	studio_run(&s, 3 * NS_PER_S);
	start_at(pids[1], s.clock.wall_ns + 3600 * (int64_t) NS_PER_S, 1);
	studio_start_one(&s, pids[2], CPU, 0); /* its first snapshot never comes */
	session_set_abandon(s.ss, ENDING_INTERRUPTED);
	assert_string_equal(ending_of(pids[0], 0), "interrupted");
	assert_int_equal(end_of(pids[0], 0)->measured_ns, 3 * NS_PER_S);
	assert_int_equal(studio_count(&s, RECORD_END, pids[1]), 0);
	assert_int_equal(studio_count(&s, RECORD_END, pids[2]), 0);
	assert_int_equal(session_set_active(s.ss), 0);
	assert_int_equal(s.drops, 2);
	assert_int_equal(s.kinds, 0);
}

/* Taken down with everything under way. */
static void test_destroyed(void **state)
{
	(void) state;
	studio_start_one(&s, pids[0], CPU | GPU, 0);
	studio_run(&s, 3 * NS_PER_S);
	start_at(pids[1], s.clock.wall_ns + 3600 * (int64_t) NS_PER_S, 1);
	studio_start_one(&s, pids[2], CPU, 0);
	studio_close(&s);
	session_set_destroy(NULL);
}

/* ---- names ------------------------------------------------------------------------------ */

static void rename_on_signal(void *ctx)
{
	sigset_t set;
	int sig;

	(void) ctx;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (;;) {
		sigwait(&set, &sig);
		prctl(PR_SET_NAME, "model");
	}
}

/* A shell that starts a program after its pid was told keeps the pid and changes its name. */
static void test_name(void **state)
{
	pid_t pid;
	char path[64], name[32] = "";

	(void) state;
	prctl(PR_SET_NAME, "launcher");
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL); /* for the child, until it waits for it */
	pid = child_start(rename_on_signal, NULL);
	studio_start_one(&s, pid, CPU, 2);
	studio_answer(&s);
	assert_string_equal(studio_record(&s, RECORD_BEGIN, pid, 0)->name, "launcher");
	kill(pid, SIGUSR1);
	snprintf(path, sizeof(path), "/proc/%d/comm", (int) pid);
	while (strncmp(name, "model", 5) != 0) {
		FILE *f = fopen(path, "r");

		assert_non_null(f);
		assert_non_null(fgets(name, sizeof(name), f));
		fclose(f);
	}
	studio_run(&s, 3 * NS_PER_S);
	assert_string_equal(studio_record(&s, RECORD_LINE, pid, 0)->name, "model");
	assert_string_equal(studio_record(&s, RECORD_END, pid, 0)->name, "model");
	child_end(pid);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_ten_seconds),
		TEST(test_details),
		TEST(test_until_stopped),
		TEST(test_short_rest),
		TEST(test_stopped_before_first_snapshot),
		TEST(test_process_ends),
		TEST(test_overlapping),
		TEST(test_phases),
		TEST(test_several_pids),
		TEST(test_stop),
		TEST(test_slot_reused),
		TEST(test_refusals),
		TEST(test_zombie_refused),
		TEST(test_missing_kind),
		TEST(test_too_many_lines),
		TEST(test_too_many_sessions),
		TEST(test_a_burst_of_sessions_by_one_sender),
		TEST(test_scheduled),
		TEST(test_clock_set),
		TEST(test_scheduled_stopped),
		TEST(test_scheduled_process_gone),
		TEST(test_failing_sensor),
		TEST(test_counter_restarts),
		TEST(test_abandoned),
		TEST(test_destroyed),
		TEST(test_name),
	};

	return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
