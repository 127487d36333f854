// SPDX-License-Identifier: MIT
#include "core/session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/lines.h"
#include "util/cleanup.h"
#include "util/procstat.h"

/* A process that at least one session wants. */
struct watched {
	uint32_t slot;
	pid_t pid;
	uint64_t start_ticks;
	char name[64];
	bool named_again;      /* since the session began; a program may be started after that */
	struct target *target; /* until it is handed to the sampling */
	uint64_t ordinal;      /* usages in snapshots before this one are an earlier target's */
	unsigned kept_threads; /* perf clocks that keep its last CPU time */
	unsigned n_members;    /* of sessions */
	bool ended;

	struct account_mark *line_mark; /* its line of CPU power; NULL: none is written */
	struct line_clock line;
};

struct member {
	struct watched *watched; /* NULL: it ended */
	struct account_mark *mark;
	uint64_t stop_ordinal; /* it ends with the first snapshot that has this behind it; 0: no */
	const char *stop_why;
	const char *ending; /* set while the snapshot that ends it is worked on */
};

enum session_state { SESSION_SCHEDULED, SESSION_BEGINNING, SESSION_ACTIVE };

struct session {
	uint32_t id;
	enum session_state state;
	char create_ts[EVENT_TS_MAX];
	uint32_t kinds;
	int64_t start_wall_ns;
	uint64_t duration_ns; /* 0: until stopped */
	uint64_t begin_ordinal;
	uint64_t start_ns;
	uint64_t end_ns; /* 0: not known */
	size_t n_members;
	struct member members[];
};

struct device_line {
	struct account_mark *mark; /* NULL: none is written */
	struct line_clock line;
};

struct sessions {
	struct session_options options;
	struct session_hooks hooks;
	struct account *account;
	struct session *list[SESSIONS_MAX];
	size_t n;
	struct watched **watched; /* by slot; NULL: free */
	uint32_t n_slots;
	size_t n_watched;
	unsigned kept_threads;
	uint32_t next_id;
	uint32_t have;   /* kinds that a sensor tells */
	uint32_t wanted; /* as last told to the sampling */
	uint64_t last_edge;
	struct device_line devices[KIND_COUNT];
	int64_t wall_offset_ns; /* wall time less monotonic time, for the snapshot being worked on */
};

/* ---- saying ----------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static void say(
	struct sessions *ss, enum session_severity severity, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	ss->hooks.say(ss->hooks.ctx, severity, text);
}

static const struct domain *domain_of(const struct sessions *ss, size_t d)
{
	return ss->options.domains[d];
}

static void on_failing(void *ctx, size_t d, int error)
{
	struct sessions *ss = ctx;

	say(ss, SESSION_WARNING, "%s %s cannot be read: %s; it is tried again, nothing is made up",
		domain_of(ss, d)->sensor, domain_of(ss, d)->name, strerror(-error));
}

static void on_lost(void *ctx, size_t d)
{
	struct sessions *ss = ctx;

	say(ss, SESSION_WARNING,
		"%s %s has not answered for %" PRIu64 " s: sums go on without it until it is back",
		domain_of(ss, d)->sensor, domain_of(ss, d)->name, ACCOUNT_LOST_NS / NS_PER_S);
}

static void on_recovered(void *ctx, size_t d, uint64_t gap_ns)
{
	struct sessions *ss = ctx;

	say(ss, SESSION_INFO, "%s %s can be read again, after %.1f s", domain_of(ss, d)->sensor,
		domain_of(ss, d)->name, (double) gap_ns / 1e9);
}

static void on_restarted(void *ctx, size_t d)
{
	struct sessions *ss = ctx;

	say(ss, SESSION_WARNING,
		"%s %s: the counter fell or jumped by more than is possible; "
		"the energy since its last reading is not known",
		domain_of(ss, d)->sensor, domain_of(ss, d)->name);
}

/* ---- records ---------------------------------------------------------------------------- */

static int64_t wall_of(const struct sessions *ss, uint64_t t_ns)
{
	return (int64_t) t_ns + ss->wall_offset_ns;
}

static bool has_several_packages(const struct sessions *ss)
{
	size_t n = 0;

	for (size_t d = 0; d < ss->options.n_domains; d++)
		n += domain_of(ss, d)->kind == KIND_CPU && domain_of(ss, d)->counted;
	return n > 1;
}

/* By which rule a part was given. With several packages the kernel does not tell cheaply on which
 * a process ran: it is then taken to have run on all of them alike. */
static const char *rule_of(const struct sessions *ss, enum slice_who who, enum kind kind)
{
	bool several = has_several_packages(ss);

	if (kind != KIND_CPU && kind != KIND_DRAM)
		return "none";
	switch (who) {
	case SLICE_TARGET:
		if (ss->options.account.idle == IDLE_PROPORTIONAL)
			return several ? "busy-share-all-packages" : "busy-share";
		return several ? "capacity-share-all-packages" : "capacity-share";
	case SLICE_IDLE:
		return "idle-share";
	default:
		return "remainder";
	}
}

static void on_slice(void *ctx, const struct slice *slice)
{
	static const enum record_who whos[] = { WHO_PROCESS, WHO_IDLE, WHO_OTHER, WHO_REST };
	struct sessions *ss = ctx;
	const struct domain *domain = domain_of(ss, slice->domain);
	struct record r = { .type = RECORD_DETAIL,
		.wall_ns = wall_of(ss, slice->t_ns),
		.t_ns = slice->t_ns,
		.interval_ns = slice->interval_ns,
		.kind = domain->kind,
		.domain = domain };

	for (size_t i = 0; i < slice->n_parts; i++) {
		const struct slice_part *part = &slice->parts[i];
		const struct watched *w = part->who == SLICE_TARGET ? ss->watched[part->slot]
								    : NULL;

		r.who = whos[part->who];
		r.pid = w ? w->pid : 0;
		r.name = w ? w->name : NULL;
		r.energy = part->energy;
		r.power_uw = (uint64_t) ((double) part->energy.uj * 1e9 /
			(double) slice->interval_ns);
		r.flags = part->flags;
		r.attribution = rule_of(ss, part->who, domain->kind);
		ss->hooks.record(ss->hooks.ctx, &r);
	}
}

/* Writes one line if the span since the mark is whole. A span with a hole in it writes none, and
 * the next begins behind the hole. Returns whether the mark was used up. */
static bool write_line(struct sessions *ss, const struct account_mark *mark,
	const struct watched *w, enum kind kind, uint64_t t_ns)
{
	struct span span;
	struct record r;

	account_since(ss->account, mark, w ? w->slot : ACCOUNT_NO_SLOT, kind, &span);
	if (span.flags & FLAG_RESET)
		return true;
	if (!span.known || !span.fresh)
		return false;
	r = (struct record) { .type = RECORD_LINE,
		.who = w ? WHO_PROCESS : WHO_DEVICE,
		.wall_ns = wall_of(ss, t_ns),
		.t_ns = t_ns,
		.interval_ns = span.interval_ns,
		.kind = kind,
		.pid = w ? w->pid : 0,
		.name = w ? w->name : NULL,
		.energy = span.energy,
		.power_uw = span.power_uw,
		.flags = span.flags,
		.attribution = w ? rule_of(ss, SLICE_TARGET, kind) : NULL };
	ss->hooks.record(ss->hooks.ctx, &r);
	return true;
}

/* ---- processes -------------------------------------------------------------------------- */

static struct watched *find_watched(const struct sessions *ss, pid_t pid, uint64_t start_ticks)
{
	for (uint32_t i = 0; i < ss->n_slots; i++) {
		struct watched *w = ss->watched[i];

		if (w && !w->ended && w->pid == pid && w->start_ticks == start_ticks)
			return w;
	}
	return NULL;
}

static int free_slot(struct sessions *ss, uint32_t *ret)
{
	struct watched **grown;
	uint32_t n;

	for (uint32_t i = 0; i < ss->n_slots; i++) {
		if (!ss->watched[i]) {
			*ret = i;
			return 0;
		}
	}
	if (ss->n_slots == SESSION_TARGETS_MAX)
		return -E2BIG;
	n = ss->n_slots ? ss->n_slots * 2 : 8;
	grown = realloc(ss->watched, n * sizeof(struct watched *));
	if (!grown)
		return -ENOMEM;
	memset(grown + ss->n_slots, 0, (n - ss->n_slots) * sizeof(struct watched *));
	ss->watched = grown;
	*ret = ss->n_slots;
	ss->n_slots = n;
	return 0;
}

/* The watched process with that pid, new or known already. Returns 0 or -errno. */
static int watch(struct sessions *ss, pid_t pid, struct watched **ret)
{
	CLEANUP_FREE struct target *t = NULL;
	CLEANUP_FREE struct watched *w = NULL;
	struct procstat stat;
	uint32_t slot;
	int r = procstat_read(pid, &stat);

	if (r < 0)
		return r;
	*ret = find_watched(ss, pid, stat.start_ticks);
	if (*ret)
		return 0;
	r = free_slot(ss, &slot);
	if (r < 0)
		return r;
	t = calloc(1, sizeof(*t));
	w = calloc(1, sizeof(*w));
	if (!t || !w)
		return -ENOMEM;
	r = target_open_process(t, pid);
	if (r < 0)
		return r;
	t->slot = slot;
	w->slot = slot;
	w->pid = pid;
	w->start_ticks = t->start_ticks;
	memcpy(w->name, t->name, sizeof(w->name));
	w->target = take_ptr(t);
	ss->n_watched++;
	*ret = ss->watched[slot] = take_ptr(w);
	return 0;
}

static void unwatch(struct sessions *ss, struct watched *w)
{
	if (w->target) { /* never sampled */
		target_close(w->target);
		free(w->target);
	} else {
		ss->hooks.sampling.drop(ss->hooks.ctx, w->slot);
		account_drop_target(ss->account, w->slot);
	}
	account_mark_free(w->line_mark);
	ss->kept_threads -= w->kept_threads;
	ss->watched[w->slot] = NULL;
	ss->n_watched--;
	free(w);
}

/* One session less wants it. */
static void release(struct sessions *ss, struct watched *w)
{
	if (--w->n_members == 0)
		unwatch(ss, w);
}

static void refresh_name(struct watched *w)
{
	struct procstat stat;

	if (procstat_read(w->pid, &stat) == 0 && stat.start_ticks == w->start_ticks)
		snprintf(w->name, sizeof(w->name), "%s", stat.comm);
}

/* ---- sessions --------------------------------------------------------------------------- */

static struct member *member_of(struct session *s, const struct watched *w)
{
	for (size_t i = 0; i < s->n_members; i++)
		if (s->members[i].watched == w)
			return &s->members[i];
	return NULL;
}

static void free_session(struct sessions *ss, struct session *s)
{
	for (size_t i = 0; i < s->n_members; i++) {
		account_mark_free(s->members[i].mark);
		if (s->members[i].watched)
			release(ss, s->members[i].watched);
	}
	free(s);
}

static void remove_session(struct sessions *ss, size_t index)
{
	struct session *s = ss->list[index];

	if (s->state == SESSION_ACTIVE && s->end_ns)
		ss->hooks.sampling.until(ss->hooks.ctx, s->id, 0);
	ss->list[index] = ss->list[--ss->n];
	free_session(ss, s);
}

/* The kinds that sessions under way need. */
static uint32_t kinds_needed(const struct sessions *ss)
{
	uint32_t kinds = 0;

	for (size_t i = 0; i < ss->n; i++)
		if (ss->list[i]->state != SESSION_SCHEDULED)
			kinds |= ss->list[i]->kinds;
	return kinds & ss->have;
}

static void update_wanted(struct sessions *ss)
{
	uint32_t kinds = kinds_needed(ss);

	if (kinds == ss->wanted)
		return;
	ss->wanted = kinds;
	ss->hooks.sampling.want(ss->hooks.ctx, kinds);
}

static void order_edge(struct sessions *ss)
{
	ss->last_edge = ss->hooks.sampling.edge(ss->hooks.ctx);
}

static bool has_live_member(const struct session *s)
{
	for (size_t i = 0; i < s->n_members; i++)
		if (s->members[i].watched)
			return true;
	return false;
}

/* Opens the clock that keeps a process's last CPU time, as long as there are few enough of them. */
static void keep_last_time(struct sessions *ss, struct watched *w)
{
	struct taskclock clock;
	struct procstat stat;

	if (ss->kept_threads >= ss->options.max_kept_threads ||
		taskclock_init(&clock, w->pid, ss->options.max_kept_threads - ss->kept_threads) < 0)
		return;
	/* The pid may have gone to somebody else meanwhile. */
	if (procstat_read(w->pid, &stat) < 0 || stat.start_ticks != w->start_ticks) {
		taskclock_finish(&clock);
		return;
	}
	w->kept_threads = clock.n;
	ss->kept_threads += clock.n;
	ss->hooks.sampling.keep(ss->hooks.ctx, w->slot, clock);
}

/* Hands the session's processes to the sampling and asks for its first snapshot. */
static void begin(struct sessions *ss, struct session *s)
{
	for (size_t i = 0; i < s->n_members; i++) {
		struct watched *w = s->members[i].watched;

		if (!w || !w->target)
			continue;
		if (account_add_target(ss->account, w->slot) < 0) {
			say(ss, SESSION_ERROR, "pid %d is not measured: out of memory",
				(int) w->pid);
			s->members[i].watched = NULL;
			release(ss, w);
			continue;
		}
		ss->hooks.sampling.add(ss->hooks.ctx, take_ptr(w->target));
		w->ordinal = UINT64_MAX; /* until the edge below is ordered */
	}
	s->state = SESSION_BEGINNING;
	update_wanted(ss);
	order_edge(ss);
	s->begin_ordinal = ss->last_edge;
	for (size_t i = 0; i < s->n_members; i++) {
		struct watched *w = s->members[i].watched;

		if (!w || w->ordinal != UINT64_MAX)
			continue;
		w->ordinal = ss->last_edge;
		/* After the first snapshot was ordered, for this may take milliseconds. */
		keep_last_time(ss, w);
	}
}

/* Lines (or at least readings) a second with so many more processes. */
static uint64_t lines_per_s(const struct sessions *ss, size_t n_more, uint32_t kinds)
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

/* Opens the event's pids as members. Returns how many are good; ret_why tells about the first
 * that is not. */
static size_t add_members(
	struct sessions *ss, struct session *s, const struct event *event, char *ret_why, size_t n)
{
	*ret_why = '\0';
	for (size_t i = 0; i < event->n_pids; i++) {
		char why[EVENT_WHY_MAX];
		struct watched *w;
		int r = event->pids[i] > 0 ? watch(ss, event->pids[i], &w) : -EINVAL;

		if (r == 0) {
			if (!member_of(s, w)) {
				w->n_members++;
				s->members[s->n_members++] = (struct member) { .watched = w };
			}
			continue;
		}
		if (r == -EINVAL)
			snprintf(why, sizeof(why), "pid %d is no process", (int) event->pids[i]);
		else if (r == -ESRCH)
			snprintf(why, sizeof(why), "there is no process %d", (int) event->pids[i]);
		else if (r == -E2BIG)
			snprintf(why, sizeof(why), "more than %d processes at a time",
				SESSION_TARGETS_MAX);
		else
			snprintf(why, sizeof(why), "pid %d cannot be watched: %s",
				(int) event->pids[i], strerror(-r));
		say(ss, SESSION_WARNING, "%s", why);
		if (*ret_why == '\0')
			snprintf(ret_why, n, "%s", why);
	}
	return s->n_members;
}

int sessions_start(struct sessions *ss, const struct event *event, size_t *ret_n_accepted,
	char *ret_why, size_t n)
{
	uint32_t missing = event->kinds & ~ss->have;
	uint64_t lines;
	char names[64];
	struct session *s;

	name_kinds(missing, names, sizeof(names));
	if (event->n_pids == 0) {
		snprintf(ret_why, n, "the event names no pids");
		return -EINVAL;
	}
	if (ss->n == SESSIONS_MAX) {
		snprintf(ret_why, n, "more than %d sessions at a time", SESSIONS_MAX);
		return -E2BIG;
	}
	if (missing == event->kinds) {
		snprintf(ret_why, n, "no sensor for %s on this machine", names);
		say(ss, SESSION_WARNING, "nothing can be measured: %s; see `powermeasure list`",
			ret_why);
		return -ENODEV;
	}
	lines = lines_per_s(ss, event->n_pids, event->kinds);
	if (lines > SESSION_LINES_PER_S_MAX) {
		snprintf(ret_why, n,
			"%" PRIu64 " lines a second, more than %d: fewer pids or a lower rate",
			lines, SESSION_LINES_PER_S_MAX);
		return -E2BIG;
	}
	s = calloc(1, sizeof(*s) + event->n_pids * sizeof(s->members[0]));
	if (!s) {
		snprintf(ret_why, n, "out of memory");
		return -ENOMEM;
	}
	memcpy(s->create_ts, event->create_ts, sizeof(s->create_ts));
	s->id = ++ss->next_id;
	s->kinds = event->kinds;
	s->duration_ns = event->seconds * NS_PER_S;
	s->start_wall_ns = event->start_wall_ns;
	s->state = SESSION_SCHEDULED;
	if (add_members(ss, s, event, ret_why, n) == 0) {
		free(s);
		return -ESRCH;
	}
	if (missing)
		say(ss, SESSION_WARNING, "no sensor for %s on this machine: the rest is measured",
			names);
	*ret_n_accepted = s->n_members;
	ss->list[ss->n++] = s;
	if (event->start_now || event->start_wall_ns <= clock_wall_ns(ss->options.clock))
		begin(ss, s);
	return 0;
}

static void mark_for_stop(struct member *m, const char *why)
{
	if (m->stop_ordinal)
		return;
	m->stop_ordinal = UINT64_MAX; /* until the edge is ordered */
	m->stop_why = why;
}

/* Ends the members that match: scheduled ones at once, the others with the next edge. */
static void stop_matching(struct sessions *ss, const int32_t *pids, size_t n_pids, const char *why)
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
			say(ss, SESSION_INFO, "pid %d (%s): %s before it began",
				(int) m->watched->pid, m->watched->name, why);
			release(ss, take_ptr(m->watched));
		}
		if (s->state == SESSION_SCHEDULED && !has_live_member(s))
			remove_session(ss, i);
	}
	if (!any)
		return;
	order_edge(ss);
	for (size_t i = 0; i < ss->n; i++)
		for (size_t k = 0; k < ss->list[i]->n_members; k++)
			if (ss->list[i]->members[k].stop_ordinal == UINT64_MAX)
				ss->list[i]->members[k].stop_ordinal = ss->last_edge;
}

void sessions_stop(struct sessions *ss, const int32_t *pids, size_t n_pids)
{
	if (n_pids > 0)
		stop_matching(ss, pids, n_pids, "stopped");
}

void sessions_stop_all(struct sessions *ss, const char *why)
{
	stop_matching(ss, NULL, 0, why);
}

bool sessions_next_start(const struct sessions *ss, int64_t *ret_wall_ns)
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

void sessions_begin_due(struct sessions *ss)
{
	int64_t now_ns = clock_wall_ns(ss->options.clock);

	for (size_t i = 0; i < ss->n; i++)
		if (ss->list[i]->state == SESSION_SCHEDULED && ss->list[i]->start_wall_ns <= now_ns)
			begin(ss, ss->list[i]);
}

size_t sessions_active(const struct sessions *ss)
{
	size_t n = 0;

	for (size_t i = 0; i < ss->n; i++)
		n += ss->list[i]->state != SESSION_SCHEDULED;
	return n;
}

/* ---- a snapshot ------------------------------------------------------------------------- */

static void report(struct sessions *ss, const struct session *s, const struct member *m,
	enum record_type type, uint64_t t_ns)
{
	const struct watched *w = m->watched;
	struct session_report report = { .session_id = s->id,
		.create_ts = s->create_ts,
		.pid = w->pid,
		.name = w->name,
		.kinds = s->kinds,
		.start_wall_ns = s->start_wall_ns };
	struct record r = { .type = type,
		.who = WHO_PROCESS,
		.wall_ns = wall_of(ss, t_ns),
		.t_ns = t_ns,
		.pid = w->pid,
		.name = w->name,
		.session = &report };

	if (type == RECORD_END) {
		report.end_wall_ns = wall_of(ss, t_ns);
		report.seconds_ns = r.interval_ns = t_ns - s->start_ns;
		report.ending = m->ending;
		report.cpu_ns = account_cpu_since(ss->account, m->mark, w->slot);
	}
	for (int k = 0; k < KIND_COUNT; k++) {
		struct session_total *total = &report.totals[k];
		struct span span;

		total->asked = s->kinds & KIND_BIT(k);
		if (type != RECORD_END || !total->asked)
			continue;
		if (k == KIND_CPU)
			account_since(ss->account, m->mark, w->slot, KIND_CPU, &span);
		else
			account_total_since(ss->account, m->mark, (enum kind) k, &span);
		total->known = span.known;
		total->energy = span.energy;
		total->flags = span.flags;
	}
	ss->hooks.record(ss->hooks.ctx, &r);
}

/* Starts a line if none is written yet. */
static void begin_line(struct sessions *ss, struct account_mark **mark, struct line_clock *line,
	uint32_t slot, enum kind kind, uint64_t t_ns)
{
	if (*mark || !(ss->have & KIND_BIT(kind)))
		return;
	*mark = account_mark_new(ss->account, slot);
	*line = (struct line_clock) { .period_ns = ss->options.period_ns[kind], .last_ns = t_ns };
}

static void begin_sessions(struct sessions *ss, const struct snapshot *snapshot)
{
	for (size_t i = 0; i < ss->n; i++) {
		struct session *s = ss->list[i];

		if (s->state != SESSION_BEGINNING || s->begin_ordinal > snapshot->ordinal)
			continue;
		s->state = SESSION_ACTIVE;
		s->start_ns = snapshot->t_ns;
		s->start_wall_ns = wall_of(ss, snapshot->t_ns);
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
				say(ss, SESSION_ERROR, "pid %d: no totals: out of memory",
					(int) m->watched->pid);
			if (s->kinds & KIND_BIT(KIND_CPU))
				begin_line(ss, &m->watched->line_mark, &m->watched->line,
					m->watched->slot, KIND_CPU, snapshot->t_ns);
			report(ss, s, m, RECORD_BEGIN, snapshot->t_ns);
		}
		for (int k = 0; k < KIND_COUNT; k++)
			if (k != KIND_CPU && (s->kinds & KIND_BIT(k)))
				begin_line(ss, &ss->devices[k].mark, &ss->devices[k].line,
					ACCOUNT_NO_SLOT, (enum kind) k, snapshot->t_ns);
	}
}

/* Finds out which members end with this snapshot. */
static void find_endings(struct sessions *ss, const struct snapshot *snapshot)
{
	for (size_t i = 0; i < ss->n; i++) {
		struct session *s = ss->list[i];

		for (size_t k = 0; s->state == SESSION_ACTIVE && k < s->n_members; k++) {
			struct member *m = &s->members[k];

			if (!m->watched)
				continue;
			if (s->end_ns && snapshot->t_ns >= s->end_ns)
				m->ending = "time is up";
			else if (m->stop_ordinal && snapshot->ordinal >= m->stop_ordinal)
				m->ending = m->stop_why;
			else if (m->watched->ended)
				m->ending = "the process ended";
		}
	}
}

/* What the sessions that want one line say of its end. */
struct outlook {
	bool wanted_on;        /* somebody goes on wanting it */
	bool ends_now;         /* somebody stops wanting it now */
	bool ends_as_known;    /* ... because the time is up */
	bool end_is_known;     /* all that go on know when they will end ... */
	uint64_t known_end_ns; /* ... the last of them then */
};

/* w: the process whose line it is, or NULL for a device's line of that kind. */
static struct outlook look_ahead(const struct sessions *ss, const struct watched *w, enum kind kind)
{
	struct outlook o = { .end_is_known = true };

	for (size_t i = 0; i < ss->n; i++) {
		const struct session *s = ss->list[i];

		if (s->state != SESSION_ACTIVE || !(s->kinds & KIND_BIT(kind)))
			continue;
		for (size_t k = 0; k < s->n_members; k++) {
			const struct member *m = &s->members[k];

			if (!m->watched || (w && m->watched != w))
				continue;
			if (m->ending) {
				o.ends_now = true;
				o.ends_as_known |= s->end_ns &&
					strcmp(m->ending, "time is up") == 0;
				continue;
			}
			o.wanted_on = true;
			o.end_is_known &= s->end_ns != 0;
			if (s->end_ns > o.known_end_ns)
				o.known_end_ns = s->end_ns;
		}
	}
	return o;
}

static void work_on_line(struct sessions *ss, struct account_mark **mark, struct line_clock *line,
	const struct watched *w, enum kind kind, const struct snapshot *snapshot)
{
	struct outlook o;
	enum line_end end = LINE_GOES_ON;

	if (!*mark)
		return;
	o = look_ahead(ss, w, kind);
	if (!o.wanted_on)
		end = o.ends_as_known ? LINE_ENDS_AS_KNOWN : LINE_ENDS_EARLY;
	if (line_is_due(line, snapshot->t_ns, snapshot->ticks & KIND_BIT(kind),
		    o.end_is_known ? o.known_end_ns : 0, end) &&
		write_line(ss, *mark, w, kind, snapshot->t_ns)) {
		account_mark_renew(ss->account, *mark);
		line->last_ns = snapshot->t_ns;
	}
	if (!o.wanted_on) {
		account_mark_free(*mark);
		*mark = NULL;
	}
}

static void write_lines(struct sessions *ss, const struct snapshot *snapshot)
{
	for (uint32_t i = 0; i < ss->n_slots; i++) {
		struct watched *w = ss->watched[i];

		if (!w || !w->line_mark)
			continue;
		if (!w->named_again && snapshot->t_ns > w->line.last_ns) {
			refresh_name(w);
			w->named_again = true;
		}
		work_on_line(ss, &w->line_mark, &w->line, w, KIND_CPU, snapshot);
	}
	for (int k = 0; k < KIND_COUNT; k++)
		work_on_line(ss, &ss->devices[k].mark, &ss->devices[k].line, NULL, (enum kind) k,
			snapshot);
}

static void end_sessions(struct sessions *ss, uint64_t t_ns)
{
	for (size_t i = ss->n; i-- > 0;) {
		struct session *s = ss->list[i];

		if (s->state != SESSION_ACTIVE)
			continue;
		for (size_t k = 0; k < s->n_members; k++) {
			struct member *m = &s->members[k];

			if (!m->ending)
				continue;
			refresh_name(m->watched);
			if (m->mark)
				report(ss, s, m, RECORD_END, t_ns);
			m->ending = NULL;
			release(ss, take_ptr(m->watched));
		}
		if (!has_live_member(s))
			remove_session(ss, i);
	}
	update_wanted(ss);
}

/* Usages of a slot's earlier target are taken out; targets that ended are noted. */
static void note_usages(struct sessions *ss, struct snapshot *snapshot)
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

void sessions_enter(struct sessions *ss, struct snapshot *snapshot)
{
	const struct clock *clock = ss->options.clock;

	ss->wall_offset_ns = clock_wall_ns(clock) - (int64_t) clock_mono_ns(clock);
	note_usages(ss, snapshot);
	account_enter(ss->account, snapshot);
	begin_sessions(ss, snapshot);
	find_endings(ss, snapshot);
	write_lines(ss, snapshot);
	end_sessions(ss, snapshot->t_ns);
}

void sessions_abandon(struct sessions *ss, const char *why)
{
	uint64_t now_ns = clock_mono_ns(ss->options.clock);

	for (size_t i = ss->n; i-- > 0;) {
		struct session *s = ss->list[i];

		for (size_t k = 0; k < s->n_members; k++)
			if (s->members[k].watched)
				s->members[k].ending = why;
		if (s->state != SESSION_ACTIVE)
			remove_session(ss, i);
	}
	end_sessions(ss, now_ns);
}

/* ---- making and freeing ----------------------------------------------------------------- */

int sessions_create(struct sessions **ret, const struct session_options *options,
	const struct session_hooks *hooks)
{
	struct sessions *ss = calloc(1, sizeof(*ss));
	struct account_listener listener = { .failing = on_failing,
		.restarted = on_restarted,
		.lost = on_lost,
		.recovered = on_recovered,
		.slice = options->details ? on_slice : NULL,
		.ctx = ss };
	int r;

	if (!ss)
		return -ENOMEM;
	ss->options = *options;
	ss->hooks = *hooks;
	r = account_create(
		&ss->account, options->domains, options->n_domains, &options->account, &listener);
	if (r < 0) {
		free(ss);
		return r;
	}
	for (size_t d = 0; d < options->n_domains; d++)
		if (domain_of(ss, d)->counted)
			ss->have |= KIND_BIT(domain_of(ss, d)->kind);
	*ret = ss;
	return 0;
}

void sessions_destroy(struct sessions *ss)
{
	if (!ss)
		return;
	while (ss->n > 0)
		remove_session(ss, ss->n - 1);
	for (int k = 0; k < KIND_COUNT; k++)
		account_mark_free(ss->devices[k].mark);
	account_destroy(ss->account);
	free(ss->watched);
	free(ss);
}
