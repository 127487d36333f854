// SPDX-License-Identifier: MIT
#include "studio.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"

/* ---- the sampler's part ----------------------------------------------------------------- */

static void on_add(void *ctx, struct target *t)
{
	struct studio *s = ctx;

	assert_true(t->slot < MACHINE_TARGETS);
	assert_null(s->targets[t->slot]);
	s->targets[t->slot] = t;
	machine_add_target(&s->m, t->slot);
	s->adds++;
}

static void close_target(struct studio *s, uint32_t slot)
{
	target_close(s->targets[slot]);
	free(s->targets[slot]);
	s->targets[slot] = NULL;
}

static void on_drop(void *ctx, uint32_t slot)
{
	struct studio *s = ctx;

	assert_non_null(s->targets[slot]);
	close_target(s, slot);
	machine_drop_target(&s->m, slot);
	s->drops++;
}

static void on_want(void *ctx, uint32_t kinds)
{
	struct studio *s = ctx;
	uint32_t more = kinds & ~s->kinds;

	if (s->kinds == 0) {
		s->fresh = true;
		s->next_tick_ns = 0;
		s->m.capacity_ns = 0;
	}
	s->m.restarted |= more;
	for (size_t d = 0; d < s->m.n_domains; d++)
		if (more & KIND_BIT(s->m.domains[d].kind))
			s->m.readings[d] = (struct reading) {
				.t_ns = s->m.t_ns, .since_ns = s->m.t_ns, .flags = FLAG_MEASURED
			};
	s->kinds = kinds;
	s->wants++;
}

static void on_until(void *ctx, uint32_t id, uint64_t t_ns)
{
	struct studio *s = ctx;

	for (size_t i = 0; i < s->n_deadlines; i++) {
		if (s->deadlines[i].id == id) {
			s->deadlines[i] = s->deadlines[--s->n_deadlines];
			break;
		}
	}
	if (t_ns == 0)
		return;
	assert_true(s->n_deadlines < STUDIO_DEADLINES);
	s->deadlines[s->n_deadlines].id = id;
	s->deadlines[s->n_deadlines++].t_ns = t_ns;
}

static uint64_t on_edge(void *ctx)
{
	return ++((struct studio *) ctx)->edges;
}

static void enter(struct studio *s, uint32_t ticks, unsigned flags)
{
	if (s->fresh)
		flags |= SNAPSHOT_FIRST;
	s->fresh = false;
	s->m.kinds = flags & SNAPSHOT_EDGE ? s->kinds : ticks;
	s->m.ticks = ticks;
	s->m.ordinal = s->answered = s->edges;
	if (s->next_tick_ns == 0 && s->kinds)
		s->next_tick_ns = s->m.t_ns + s->grid_ns;
	session_set_enter(s->ss, machine_snapshot(&s->m, flags));
}

static void pass_to(struct studio *s, uint64_t t_ns)
{
	uint64_t ns = t_ns - s->m.t_ns, used_ns = 0;

	for (uint32_t slot = 0; slot < MACHINE_TARGETS; slot++) {
		uint64_t mine_ns = ns * s->load_percent[slot] / 100;

		if (!s->targets[slot])
			continue;
		machine_use(&s->m, slot, mine_ns);
		used_ns += mine_ns;
	}
	machine_pass(&s->m, ns, ns * s->m.n_cpu - used_ns);
	for (size_t d = 0; d < s->m.n_domains; d++)
		machine_draw(&s->m, d, s->watts[d] * ns / 1000);
	fakeclock_advance(&s->clock, ns);
}

void studio_answer(struct studio *s)
{
	while (s->answered < s->edges)
		enter(s, 0, SNAPSHOT_EDGE);
}

void studio_run(struct studio *s, uint64_t ns)
{
	uint64_t end_ns = s->m.t_ns + ns;

	studio_answer(s);
	while (s->m.t_ns < end_ns) {
		uint64_t next_ns = end_ns;
		bool tick, deadline = false;

		if (s->kinds && s->next_tick_ns && s->next_tick_ns < next_ns)
			next_ns = s->next_tick_ns;
		for (size_t i = 0; i < s->n_deadlines; i++)
			if (s->deadlines[i].t_ns < next_ns)
				next_ns = s->deadlines[i].t_ns;
		pass_to(s, next_ns);
		tick = s->kinds && next_ns == s->next_tick_ns;
		if (tick)
			s->next_tick_ns += s->grid_ns;
		for (size_t i = 0; i < s->n_deadlines; i++)
			deadline |= s->deadlines[i].t_ns <= next_ns;
		if (tick || deadline)
			enter(s, tick ? s->kinds : 0, deadline ? SNAPSHOT_EDGE : 0);
		studio_answer(s);
	}
}

/* ---- what is kept ----------------------------------------------------------------------- */

static void on_record(void *ctx, const struct record *r)
{
	struct studio *s = ctx;
	struct studio_record *kept = &s->records[s->n_records++];

	assert_true(s->n_records <= STUDIO_RECORDS);
	*kept = (struct studio_record) { .r = *r };
	if (r->name) {
		snprintf(kept->name, sizeof(kept->name), "%s", r->name);
		kept->r.name = kept->name;
	}
	if (r->session) {
		kept->session = *r->session;
		kept->r.session = &kept->session;
		snprintf(kept->ending, sizeof(kept->ending), "%s",
			session_ending_text(r->session->ending));
		snprintf(kept->create_ts, sizeof(kept->create_ts), "%s", r->session->create_ts);
	}
}

static void on_say(void *ctx, enum session_severity severity, const char *text)
{
	struct studio *s = ctx;

	if (s->n_sayings == STUDIO_SAYINGS)
		return;
	s->sayings[s->n_sayings].severity = severity;
	snprintf(s->sayings[s->n_sayings].text, sizeof(s->sayings[0].text), "%s", text);
	s->n_sayings++;
}

void studio_forget(struct studio *s)
{
	s->n_records = s->n_sayings = 0;
}

size_t studio_count(const struct studio *s, enum record_type type, pid_t pid)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_records; i++)
		n += s->records[i].r.type == type && s->records[i].r.pid == pid;
	return n;
}

const struct studio_record *studio_record(
	const struct studio *s, enum record_type type, pid_t pid, size_t n)
{
	for (size_t i = 0; i < s->n_records; i++)
		if (s->records[i].r.type == type && s->records[i].r.pid == pid && n-- == 0)
			return &s->records[i];
	fail_msg("no such record of type %d for pid %d", (int) type, (int) pid);
	return NULL;
}

bool studio_said(const struct studio *s, const char *text)
{
	for (size_t i = 0; i < s->n_sayings; i++)
		if (strstr(s->sayings[i].text, text))
			return true;
	return false;
}

/* ---- making ----------------------------------------------------------------------------- */

void studio_init(struct studio *s)
{
	memset(s, 0, sizeof(*s));
	machine_init(&s->m);
	s->watts[machine_add_domain(&s->m, "package-0", KIND_CPU)] = 20;
	fakeclock_init(&s->clock, s->m.t_ns, INT64_C(1692935459) * (int64_t) NS_PER_S);
	s->options = (struct session_options) { .clock = &s->clock.clock, .details = true };
	for (int k = 0; k < KIND_COUNT; k++)
		s->options.period_ns[k] = NS_PER_S / 2;
}

void studio_open(struct studio *s)
{
	const struct session_hooks hooks = { .sampling = { .add = on_add,
						     .drop = on_drop,
						     .want = on_want,
						     .until = on_until,
						     .edge = on_edge },
		.record = on_record,
		.say = on_say,
		.ctx = s };

	s->options.domains = s->m.list;
	s->options.n_domains = s->m.n_domains;
	s->grid_ns = UINT64_MAX;
	for (int k = 0; k < KIND_COUNT; k++)
		if (s->options.period_ns[k] < s->grid_ns)
			s->grid_ns = s->options.period_ns[k];
	assert_int_equal(session_set_create(&s->ss, &s->options, &hooks), 0);
}

void studio_close(struct studio *s)
{
	session_set_destroy(s->ss);
	s->ss = NULL;
	/* The sessions gave back all that they had ordered. */
	for (uint32_t slot = 0; slot < MACHINE_TARGETS; slot++)
		assert_null(s->targets[slot]);
	assert_int_equal(s->n_deadlines, 0);
}

int studio_start(struct studio *s, const int32_t *pids, size_t n_pids, uint32_t kinds,
	uint32_t seconds, size_t *ret_n, char ret_why[REQUEST_WHY_MAX])
{
	struct request *e = calloc(1, sizeof(*e));
	int r;

	assert_non_null(e);
	assert_true(n_pids <= REQUEST_MAX_PIDS);
	e->kind = REQUEST_START;
	e->n_pids = n_pids;
	if (n_pids > 0)
		memcpy(e->pids, pids, n_pids * sizeof(pids[0]));
	e->kinds = kinds;
	e->seconds = seconds;
	e->start_now = true;
	snprintf(e->create_ts, sizeof(e->create_ts), "2026-11-22T10:00:00.000000");
	r = session_set_start(s->ss, e, ret_n, ret_why, REQUEST_WHY_MAX);
	free(e);
	return r;
}

void studio_start_one(struct studio *s, int32_t pid, uint32_t kinds, uint32_t seconds)
{
	char why[REQUEST_WHY_MAX];
	size_t n = 0;

	if (studio_start(s, &pid, 1, kinds, seconds, &n, why) != 0)
		fail_msg("%s", why);
	assert_int_equal(n, 1);
}
