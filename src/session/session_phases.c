// SPDX-License-Identifier: MIT
#include "session/session_phases.h"

#include <string.h>

#include "session/session_records.h"
#include "util/cleanup.h"
#include "target/procstat.h"

/* No chain of parents is longer. */
#define MAX_DEPTH 65536

static void note_open(struct open_phases *open, const struct phase_marker *m)
{
	if (m->what == PHASE_GONE) {
		open->n = 0;
	} else if (m->what == PHASE_BEGIN) {
		open->pid = m->pid;
		if (open->n < SESSION_OPEN_PHASES)
			open->names[open->n++] = m->name;
	} else {
		uint32_t i = open->n;

		while (i > 0 && open->names[i - 1] != m->name)
			i--;
		if (i == 0)
			return;
		memmove(&open->names[i - 1], &open->names[i],
			(open->n - i) * sizeof(open->names[0]));
		open->n--;
	}
}

static struct watched *find_pid(const struct session_set *ss, pid_t pid)
{
	for (uint32_t i = 0; i < ss->n_slots; i++)
		if (ss->watched[i] && ss->watched[i]->pid == pid)
			return ss->watched[i];
	return NULL;
}

/* Whose a process is: its own, or, where pids stand for trees, its nearest ancestor's. */
static struct watched *find_owner(const struct session_set *ss, pid_t pid)
{
	struct watched *w = find_pid(ss, pid);
	struct procstat stat;

	for (int depth = 0; !w && ss->options.trees && depth < MAX_DEPTH &&
		procstat_read(pid, &stat) == 0 && stat.ppid > 0;
		depth++) {
		pid = stat.ppid;
		w = find_pid(ss, pid);
	}
	return w;
}

/* What is on already was marked before. */
static void begin_open_ones(struct session_set *ss, const struct member *m)
{
	for (uint32_t i = 0; i < PHASES_MAX_THREADS; i++) {
		const struct open_phases *open = &ss->open_phases[i];

		for (uint32_t k = 0; k < open->n && find_owner(ss, open->pid) == m->watched; k++)
			phase_meter_mark(m->phases,
				&(struct phase_marker) {
					PHASE_BEGIN, i, open->names[k], open->pid, 1 });
	}
}

void session_begin_phases(struct session_set *ss, struct member *m, uint64_t t_ns)
{
	const struct phase_meter_options options = { .account = ss->account,
		.domains = ss->options.domains,
		.n_domains = ss->options.n_domains,
		.slots = &m->watched->slot,
		.n_slots = 1,
		.tick_ns = ss->options.account.tick_ns };

	if (!ss->options.phases)
		return;
	if (phase_meter_create(&m->phases, &options, t_ns) < 0) {
		session_set_say(ss, SESSION_ERROR, "pid %d: no phases: out of memory",
			(int) m->watched->pid);
		return;
	}
	phase_channel_troubles(ss->options.phases, &m->troubles_before);
	begin_open_ones(ss, m);
	if (ss->phases_since_ns == 0)
		ss->phases_since_ns = t_ns;
}

static void take_marker(void *ctx, const struct phase_marker *marker)
{
	struct session_set *ss = ctx;
	struct watched **owner = &ss->phase_owners[marker->thread];
	const struct watched *w;

	note_open(&ss->open_phases[marker->thread], marker);
	if (!*owner && marker->pid > 0 && marker->what != PHASE_GONE)
		*owner = find_owner(ss, marker->pid);
	w = *owner;
	if (marker->what == PHASE_GONE)
		*owner = NULL;
	for (size_t i = 0; w && i < ss->n; i++) {
		const struct session *s = ss->list[i];

		for (size_t k = 0; k < s->n_members; k++)
			if (s->members[k].watched == w && s->members[k].phases)
				phase_meter_mark(s->members[k].phases, marker);
	}
}

void session_look_at_phases(struct session_set *ss, uint64_t t_ns)
{
	if (ss->phases_since_ns == 0)
		return;
	phase_channel_read(ss->options.phases, ss->phases_since_ns, false, take_marker, ss);
	for (size_t i = 0; i < ss->n; i++)
		for (size_t k = 0; k < ss->list[i]->n_members; k++)
			if (ss->list[i]->members[k].phases)
				phase_meter_look(ss->list[i]->members[k].phases, t_ns);
}

/* Without anybody to ask for them markers are not read; what passes is no loss then. */
static void note_end(struct session_set *ss)
{
	for (size_t i = 0; i < ss->n; i++)
		for (size_t k = 0; k < ss->list[i]->n_members; k++)
			if (ss->list[i]->members[k].phases)
				return;
	ss->phases_since_ns = 0;
}

void session_end_phases(
	struct session_set *ss, const struct session *s, struct member *m, uint64_t t_ns)
{
	struct phase_table report;

	if (!m->phases)
		return;
	phase_meter_finish(m->phases, t_ns);
	if (phase_table_take(&report, m->phases, ss->options.phases, &m->troubles_before) < 0) {
		session_set_say(ss, SESSION_ERROR, "pid %d: no phases: out of memory",
			(int) m->watched->pid);
	} else {
		char sentences[PHASE_TABLE_SENTENCES][256];
		size_t n = phase_table_troubles(&report, sentences);

		for (size_t i = 0; i < n; i++)
			session_set_say(ss, SESSION_WARNING, "pid %d: %s", (int) m->watched->pid,
				sentences[i]);
		session_write_phases(ss, s, m, &report, t_ns);
		phase_table_finish(&report);
	}
	phase_meter_destroy(take_ptr(m->phases));
	note_end(ss);
}
