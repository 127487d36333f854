// SPDX-License-Identifier: MIT
/*
 * Requests to measure: which can be done, and how a session begins.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/clock.h"
#include "session/session_records.h"
#include "session/session_state.h"
#include "session/session_targets.h"
#include "util/cleanup.h"

/* Hands the session's processes to the sampling and asks for its first snapshot. */
static void begin(struct session_set *ss, struct session *s)
{
	for (size_t i = 0; i < s->n_members; i++) {
		struct watched *w = s->members[i].watched;

		if (!w || !w->target)
			continue;
		if (account_add_target(ss->account, w->slot) < 0) {
			session_set_say(ss, SESSION_ERROR, "pid %d is not measured: out of memory",
				(int) w->pid);
			s->members[i].watched = NULL;
			watched_release(ss, w);
			continue;
		}
		ss->hooks.sampling.add(ss->hooks.ctx, take_ptr(w->target));
		w->ordinal = ORDINAL_PENDING; /* until the edge below is ordered */
	}
	s->state = SESSION_BEGINNING;
	session_set_update_wanted(ss);
	session_set_order_edge(ss);
	s->begin_ordinal = ss->last_edge;
	for (size_t i = 0; i < s->n_members; i++) {
		struct watched *w = s->members[i].watched;

		if (!w || w->ordinal != ORDINAL_PENDING)
			continue;
		w->ordinal = ss->last_edge;
		/* After the first snapshot was ordered, for this may take milliseconds. */
		watched_keep_last_time(ss, w);
	}
}

/* Lines (or at least readings) a second with so many more processes. */
static uint64_t lines_per_s(const struct session_set *ss, size_t n_more, uint32_t kinds)
{
	uint64_t shortest_ns = UINT64_MAX;

	for (int k = 0; k < KIND_COUNT; k++)
		if ((kinds & KIND_BIT(k)) && ss->options.period_ns[k] < shortest_ns)
			shortest_ns = ss->options.period_ns[k];
	return ((ss->n_watched + n_more) * NS_PER_S + shortest_ns - 1) / shortest_ns;
}

static void name_kinds(uint32_t missing, char *ret, size_t n)
{
	size_t len = 0;

	*ret = '\0';
	for (int k = 0; k < KIND_COUNT; k++)
		if ((missing & KIND_BIT(k)) && len < n)
			len += (size_t) snprintf(ret + len, n - len, "%s%s", len ? ", " : "",
				kind_title((enum kind) k));
}

static struct member *member_of(struct session *s, const struct watched *w)
{
	for (size_t i = 0; i < s->n_members; i++)
		if (s->members[i].watched == w)
			return &s->members[i];
	return NULL;
}

/* Adds to the reason of a refusal that the event came late: the process may have ended meanwhile. */
static void add_waited(const struct request *request, char *why, size_t n)
{
	size_t len = strlen(why);

	if (request->waited_ns)
		snprintf(why + len, n - len, "; the event waited %.3f s",
			(double) request->waited_ns / 1e9);
}

/* Says what of the session was over when its event arrived. */
static void note_missed(
	struct session_set *ss, const struct request *request, const struct session *s)
{
	if (!request->waited_ns)
		return;
	session_set_say(ss, SESSION_WARNING,
		"pid %d%s: the event waited %.3f s: what was used in that time is not measured",
		(int) s->members[0].watched->pid, s->n_members > 1 ? " and others" : "",
		(double) request->waited_ns / 1e9);
	for (size_t i = 0; i < s->n_members; i++)
		session_write_missed(
			ss, request, s->members[i].watched->pid, s->members[i].watched->name);
}

/* Opens the pids of a request as members. Returns how many are good; ret_why tells about the first
 * that is not. */
static size_t add_members(struct session_set *ss, struct session *s, const struct request *request,
	char *ret_why, size_t n)
{
	*ret_why = '\0';
	for (size_t i = 0; i < request->n_pids; i++) {
		char why[REQUEST_WHY_MAX];
		struct watched *w;
		int r = request->pids[i] > 0 ? watched_open(ss, request->pids[i], &w) : -EINVAL;

		if (r == 0 && w->n_members >= SESSIONS_PER_PROCESS_MAX)
			r = -EUSERS;
		if (r == 0) {
			if (!member_of(s, w)) {
				w->n_members++;
				s->members[s->n_members++] = (struct member) { .watched = w };
			}
			continue;
		}
		if (r == -EINVAL)
			snprintf(why, sizeof(why), "pid %d is no process", (int) request->pids[i]);
		else if (r == -ESRCH)
			snprintf(
				why, sizeof(why), "there is no process %d", (int) request->pids[i]);
		else if (r == -EUSERS)
			snprintf(why, sizeof(why), "pid %d: more than %d sessions at a time",
				(int) request->pids[i], SESSIONS_PER_PROCESS_MAX);
		else if (r == -E2BIG)
			snprintf(why, sizeof(why), "more than %d processes at a time",
				SESSION_TARGETS_MAX);
		else
			snprintf(why, sizeof(why), "pid %d cannot be watched: %s",
				(int) request->pids[i], strerror(-r));
		add_waited(request, why, sizeof(why));
		if (r == -ESRCH && request->waited_ns)
			session_write_missed(ss, request, request->pids[i], NULL);
		session_set_say(ss, SESSION_WARNING, "%s", why);
		if (*ret_why == '\0')
			snprintf(ret_why, n, "%s", why);
	}
	return s->n_members;
}

static size_t sessions_of(const struct session_set *ss, uint64_t sender)
{
	size_t n = 0;

	for (size_t i = 0; i < ss->n; i++)
		n += ss->list[i]->sender == sender;
	return n;
}

int session_set_start(struct session_set *ss, const struct request *request, size_t *ret_n_accepted,
	char *ret_why, size_t n)
{
	uint32_t missing = request->kinds & ~ss->have;
	uint64_t lines;
	char names[64];
	struct session *s;

	name_kinds(missing, names, sizeof(names));
	if (request->n_pids == 0) {
		snprintf(ret_why, n, "the event names no pids");
		return -EINVAL;
	}
	if (ss->n == SESSIONS_MAX) {
		snprintf(ret_why, n, "more than %d sessions at a time", SESSIONS_MAX);
		return -E2BIG;
	}
	if (request->sender && sessions_of(ss, request->sender) >= SESSIONS_PER_SENDER_MAX) {
		snprintf(ret_why, n, "more than %d sessions of one sender at a time",
			SESSIONS_PER_SENDER_MAX);
		return -E2BIG;
	}
	if (missing == request->kinds) {
		snprintf(ret_why, n, "no sensor for %s on this machine", names);
		session_set_say(ss, SESSION_WARNING,
			"nothing can be measured: %s; see `powermeasure list`", ret_why);
		return -ENODEV;
	}
	lines = lines_per_s(ss, request->n_pids, request->kinds);
	if (lines > SESSION_LINES_PER_S_MAX) {
		snprintf(ret_why, n,
			"%" PRIu64 " lines a second, more than %d: fewer pids or a lower rate",
			lines, SESSION_LINES_PER_S_MAX);
		return -E2BIG;
	}
	s = calloc(1, sizeof(*s) + request->n_pids * sizeof(s->members[0]));
	if (!s) {
		snprintf(ret_why, n, "out of memory");
		return -ENOMEM;
	}
	memcpy(s->create_ts, request->create_ts, sizeof(s->create_ts));
	s->id = ++ss->next_id;
	s->sender = request->sender;
	s->kinds = request->kinds;
	s->duration_ns = request->seconds * NS_PER_S;
	s->start_wall_ns = request->start_wall_ns;
	s->state = SESSION_SCHEDULED;
	if (add_members(ss, s, request, ret_why, n) == 0) {
		free(s);
		return -ESRCH;
	}
	if (missing)
		session_set_say(ss, SESSION_WARNING,
			"no sensor for %s on this machine: the rest is measured", names);
	note_missed(ss, request, s);
	*ret_n_accepted = s->n_members;
	ss->list[ss->n++] = s;
	if (request->start_now || request->start_wall_ns <= clock_wall_ns(ss->options.clock))
		begin(ss, s);
	return 0;
}

bool session_set_next_start(const struct session_set *ss, int64_t *ret_wall_ns)
{
	bool any = false;

	for (size_t i = 0; i < ss->n; i++) {
		const struct session *s = ss->list[i];

		if (s->state == SESSION_SCHEDULED && (!any || s->start_wall_ns < *ret_wall_ns)) {
			*ret_wall_ns = s->start_wall_ns;
			any = true;
		}
	}
	return any;
}

void session_set_begin_due(struct session_set *ss)
{
	int64_t now_ns = clock_wall_ns(ss->options.clock);

	for (size_t i = 0; i < ss->n; i++)
		if (ss->list[i]->state == SESSION_SCHEDULED && ss->list[i]->start_wall_ns <= now_ns)
			begin(ss, ss->list[i]);
}
