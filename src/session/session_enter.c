// SPDX-License-Identifier: MIT
/*
 * A snapshot: which sessions begin and end with it, and what is written.
 */
#include "machine/clock.h"
#include "session/session_lines.h"
#include "session/session_phases.h"
#include "session/session_records.h"
#include "session/session_state.h"
#include "session/session_targets.h"
#include "session/session_twins.h"
#include "util/cleanup.h"

static void begin_sessions(struct session_set *ss, const struct snapshot *snapshot)
{
	for (size_t i = 0; i < ss->n; i++) {
		struct session *s = ss->list[i];

		if (s->state != SESSION_BEGINNING || s->begin_ordinal > snapshot->ordinal)
			continue;
		s->state = SESSION_ACTIVE;
		s->start_ns = snapshot->t_ns;
		s->start_wall_ns = session_set_wall_ns(ss, snapshot->t_ns);
		if (s->duration_ns) {
			s->end_ns = s->start_ns + s->duration_ns;
			ss->hooks.sampling.until(ss->hooks.ctx, s->id, s->end_ns);
		}
		for (size_t k = 0; k < s->n_members; k++) {
			struct member *m = &s->members[k];

			if (!m->watched)
				continue;
			m->mark = account_mark_new(ss->account, m->watched->slot);
			if (!m->mark)
				session_set_say(ss, SESSION_ERROR,
					"pid %d: no totals: out of memory", (int) m->watched->pid);
			if (s->kinds & KIND_BIT(KIND_CPU))
				session_begin_line(ss, m->watched, KIND_CPU, snapshot->t_ns);
			session_begin_phases(ss, m, snapshot->t_ns);
			session_write_report(ss, s, m, RECORD_BEGIN, snapshot->t_ns);
		}
		for (int k = 0; k < KIND_COUNT; k++)
			if (k != KIND_CPU && (s->kinds & KIND_BIT(k)))
				session_begin_line(ss, NULL, (enum kind) k, snapshot->t_ns);
	}
}

/* Finds out which members end with this snapshot. */
static void find_endings(struct session_set *ss, const struct snapshot *snapshot)
{
	for (size_t i = 0; i < ss->n; i++) {
		struct session *s = ss->list[i];

		for (size_t k = 0; s->state == SESSION_ACTIVE && k < s->n_members; k++) {
			struct member *m = &s->members[k];

			if (!m->watched)
				continue;
			if (s->end_ns && snapshot->t_ns >= s->end_ns)
				m->ending = ENDING_TIME_UP;
			else if (m->stop_ordinal && snapshot->ordinal >= m->stop_ordinal)
				m->ending = m->stop_why;
			else if (m->watched->ended)
				m->ending = ENDING_PROCESS;
		}
	}
}

static bool any_ends(const struct session_set *ss)
{
	for (size_t i = 0; i < ss->n; i++)
		for (size_t k = 0; k < ss->list[i]->n_members; k++)
			if (ss->list[i]->state == SESSION_ACTIVE && ss->list[i]->members[k].ending)
				return true;
	return false;
}

static void end_sessions(struct session_set *ss, uint64_t t_ns)
{
	if (any_ends(ss))
		account_settle_uses(ss->account);
	for (size_t i = ss->n; i-- > 0;) {
		struct session *s = ss->list[i];

		if (s->state != SESSION_ACTIVE)
			continue;
		for (size_t k = 0; k < s->n_members; k++) {
			struct member *m = &s->members[k];

			if (!m->ending)
				continue;
			watched_refresh_name(m->watched);
			if (m->mark)
				session_write_report(ss, s, m, RECORD_END, t_ns);
			session_end_phases(ss, s, m, t_ns);
			m->ending = ENDING_NONE;
			watched_release(ss, take_ptr(m->watched));
		}
		if (!session_is_live(s))
			session_set_remove(ss, i);
	}
	session_set_update_wanted(ss);
}

/* Usages of a slot's earlier target are taken out; targets that ended are noted. */
static void note_usages(struct session_set *ss, struct snapshot *snapshot)
{
	struct usage *usages = snapshot_usages(snapshot);

	for (uint32_t i = 0; i < snapshot->n_targets; i++) {
		struct watched *w = usages[i].slot < ss->n_slots ? ss->watched[usages[i].slot]
								 : NULL;

		if (!w || w->ordinal > snapshot->ordinal)
			usages[i].slot = ACCOUNT_NO_SLOT;
		else if (usages[i].flags & USAGE_ENDED)
			w->ended = true;
	}
}

void session_set_enter(struct session_set *ss, struct snapshot *snapshot)
{
	const struct clock *clock = ss->options.clock;

	ss->wall_offset_ns = clock_wall_ns(clock) - (int64_t) clock_mono_ns(clock);
	note_usages(ss, snapshot);
	account_enter(ss->account, snapshot);
	session_look_at_phases(ss, snapshot->t_ns);
	session_compare_twins(ss, snapshot->t_ns);
	begin_sessions(ss, snapshot);
	find_endings(ss, snapshot);
	session_write_lines(ss, snapshot);
	end_sessions(ss, snapshot->t_ns);
}

void session_set_abandon(struct session_set *ss, enum session_ending why)
{
	uint64_t now_ns = clock_mono_ns(ss->options.clock);

	for (size_t i = ss->n; i-- > 0;) {
		struct session *s = ss->list[i];

		for (size_t k = 0; k < s->n_members; k++)
			if (s->members[k].watched)
				s->members[k].ending = why;
		if (s->state != SESSION_ACTIVE)
			session_set_remove(ss, i);
	}
	end_sessions(ss, now_ns);
}
