// SPDX-License-Identifier: MIT
#include "session/session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/clock.h"
#include "session/session_records.h"
#include "session/session_state.h"
#include "session/session_targets.h"
#include "session/session_twins.h"
#include "util/cleanup.h"

/* ---- saying ----------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) void session_set_say(
	struct session_set *ss, enum session_severity severity, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	ss->hooks.say(ss->hooks.ctx, severity, text);
}

static void on_failing(void *ctx, size_t d, int error)
{
	struct session_set *ss = ctx;

	session_set_say(ss, SESSION_WARNING,
		"%s %s cannot be read: %s; it is tried again, nothing is made up",
		session_set_domain(ss, d)->sensor, session_set_domain(ss, d)->name,
		reading_error(error));
}

static void on_lost(void *ctx, size_t d)
{
	struct session_set *ss = ctx;

	session_set_say(ss, SESSION_WARNING,
		"%s %s has not answered for %" PRIu64 " s: sums go on without it until it is back",
		session_set_domain(ss, d)->sensor, session_set_domain(ss, d)->name,
		ACCOUNT_LOST_NS / NS_PER_S);
}

static void on_recovered(void *ctx, size_t d, uint64_t gap_ns)
{
	struct session_set *ss = ctx;

	session_set_say(ss, SESSION_INFO, "%s %s can be read again, after %.1f s",
		session_set_domain(ss, d)->sensor, session_set_domain(ss, d)->name,
		(double) gap_ns / 1e9);
}

static void on_disputed(void *ctx, size_t d)
{
	const struct domain *domain = session_set_domain(ctx, d);

	session_set_say(ctx, SESSION_WARNING,
		"%s %s: its energy counter and its power disagree by more than 5 %%: the "
		"counter is used, and flagged",
		domain->sensor, domain->name);
}

static void on_restarted(void *ctx, size_t d)
{
	struct session_set *ss = ctx;

	session_set_say(ss, SESSION_WARNING,
		"%s %s: the counter fell or jumped by more than is possible; "
		"the energy since its last reading is not known",
		session_set_domain(ss, d)->sensor, session_set_domain(ss, d)->name);
}

/* ---- what is under way ------------------------------------------------------------------ */

/* The kinds that sessions under way need. */
static uint32_t kinds_needed(const struct session_set *ss)
{
	uint32_t kinds = 0;

	for (size_t i = 0; i < ss->n; i++)
		if (ss->list[i]->state != SESSION_SCHEDULED)
			kinds |= ss->list[i]->kinds;
	return kinds & ss->have;
}

void session_set_update_wanted(struct session_set *ss)
{
	uint32_t kinds = kinds_needed(ss);

	if (kinds == ss->wanted)
		return;
	ss->wanted = kinds;
	session_forget_twins(ss);
	ss->hooks.sampling.want(ss->hooks.ctx, kinds);
}

void session_set_order_edge(struct session_set *ss)
{
	ss->last_edge = ss->hooks.sampling.edge(ss->hooks.ctx);
}

bool session_is_live(const struct session *s)
{
	for (size_t i = 0; i < s->n_members; i++)
		if (s->members[i].watched)
			return true;
	return false;
}

size_t session_set_active(const struct session_set *ss)
{
	size_t n = 0;

	for (size_t i = 0; i < ss->n; i++)
		n += ss->list[i]->state != SESSION_SCHEDULED;
	return n;
}

/* ---- ending ----------------------------------------------------------------------------- */

static void free_session(struct session_set *ss, struct session *s)
{
	for (size_t i = 0; i < s->n_members; i++) {
		account_mark_free(s->members[i].mark);
		phase_meter_destroy(s->members[i].phases);
		if (s->members[i].watched)
			watched_release(ss, s->members[i].watched);
	}
	free(s);
}

void session_set_remove(struct session_set *ss, size_t index)
{
	struct session *s = ss->list[index];

	if (s->state == SESSION_ACTIVE && s->end_ns)
		ss->hooks.sampling.until(ss->hooks.ctx, s->id, 0);
	ss->list[index] = ss->list[--ss->n];
	free_session(ss, s);
}

static void mark_for_stop(struct member *m, enum session_ending why)
{
	if (m->stop_ordinal)
		return;
	m->stop_ordinal = ORDINAL_PENDING;
	m->stop_why = why;
}

/* Ends the members that match: scheduled ones at once, the others with the next edge. */
static void stop_matching(
	struct session_set *ss, const int32_t *pids, size_t n_pids, enum session_ending why)
{
	bool any = false;

	for (size_t i = ss->n; i-- > 0;) {
		struct session *s = ss->list[i];

		for (size_t k = 0; k < s->n_members; k++) {
			struct member *m = &s->members[k];
			bool match = pids == NULL;

			for (size_t p = 0; m->watched && p < n_pids; p++)
				match |= m->watched->pid == pids[p];
			if (!m->watched || !match)
				continue;
			if (s->state != SESSION_SCHEDULED) {
				mark_for_stop(m, why);
				any = true;
				continue;
			}
			session_set_say(ss, SESSION_INFO, "pid %d (%s): %s before it began",
				(int) m->watched->pid, m->watched->name, session_ending_text(why));
			watched_release(ss, take_ptr(m->watched));
		}
		if (s->state == SESSION_SCHEDULED && !session_is_live(s))
			session_set_remove(ss, i);
	}
	if (!any)
		return;
	session_set_order_edge(ss);
	for (size_t i = 0; i < ss->n; i++)
		for (size_t k = 0; k < ss->list[i]->n_members; k++)
			if (ss->list[i]->members[k].stop_ordinal == ORDINAL_PENDING)
				ss->list[i]->members[k].stop_ordinal = ss->last_edge;
}

void session_set_stop(struct session_set *ss, const int32_t *pids, size_t n_pids)
{
	if (n_pids > 0)
		stop_matching(ss, pids, n_pids, ENDING_STOPPED);
}

void session_set_stop_all(struct session_set *ss, enum session_ending why)
{
	stop_matching(ss, NULL, 0, why);
}

/* ---- making and freeing ----------------------------------------------------------------- */

int session_set_create(struct session_set **ret, const struct session_options *options,
	const struct session_hooks *hooks)
{
	struct session_set *ss = calloc(1, sizeof(*ss));
	struct account_watcher watcher = { .failing = on_failing,
		.restarted = on_restarted,
		.disputed = on_disputed,
		.lost = on_lost,
		.recovered = on_recovered,
		.slice = options->details ? session_write_slice : NULL,
		.ctx = ss };
	int r;

	if (!ss)
		return -ENOMEM;
	ss->options = *options;
	ss->hooks = *hooks;
	r = account_create(
		&ss->account, options->domains, options->n_domains, &options->account, &watcher);
	if (r < 0) {
		free(ss);
		return r;
	}
	for (size_t d = 0; d < options->n_domains; d++)
		if (session_set_domain(ss, d)->counted)
			ss->have |= KIND_BIT(session_set_domain(ss, d)->kind);
	*ret = ss;
	return 0;
}

void session_set_destroy(struct session_set *ss)
{
	if (!ss)
		return;
	while (ss->n > 0)
		session_set_remove(ss, ss->n - 1);
	for (int k = 0; k < KIND_COUNT; k++)
		account_mark_free(ss->devices[k].mark);
	session_forget_twins(ss);
	account_destroy(ss->account);
	free(ss->watched);
	free(ss);
}
