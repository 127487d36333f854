// SPDX-License-Identifier: MIT
#include "session/session_records.h"

#include "machine/clock.h"
#include "session/slices.h"

int64_t session_set_wall_ns(const struct session_set *ss, uint64_t t_ns)
{
	return (int64_t) t_ns + ss->wall_offset_ns;
}

const char *session_ending_text(enum session_ending ending)
{
	static const char *const texts[] = {
		[ENDING_NONE] = "goes on",
		[ENDING_TIME_UP] = "time is up",
		[ENDING_STOPPED] = "stopped",
		[ENDING_PROCESS] = "the process ended",
		[ENDING_TERMINATED] = "terminated by an event",
		[ENDING_INTERRUPTED] = "interrupted",
		[ENDING_TOLD] = "told to end",
	};

	return texts[ending];
}

static void name_watched(void *ctx, uint32_t slot, pid_t *ret_pid, const char **ret_name)
{
	const struct session_set *ss = ctx;

	*ret_pid = ss->watched[slot]->pid;
	*ret_name = ss->watched[slot]->name;
}

static void hand_over(void *ctx, const struct record *r)
{
	const struct session_set *ss = ctx;

	ss->hooks.record(ss->hooks.ctx, r);
}

static struct slice_owner owner_of(struct session_set *ss)
{
	return (struct slice_owner) { .domains = ss->options.domains,
		.n_domains = ss->options.n_domains,
		.idle = ss->options.account.idle,
		.wall_offset_ns = ss->wall_offset_ns,
		.name = name_watched,
		.record = hand_over,
		.ctx = ss };
}

void session_write_slice(void *ctx, const struct slice *slice)
{
	struct session_set *ss = ctx;
	struct slice_owner owner = owner_of(ss);

	slice_write(&owner, slice);
}

bool session_write_line(struct session_set *ss, const struct account_mark *mark,
	const struct watched *w, enum kind kind, uint64_t t_ns)
{
	struct slice_owner owner = owner_of(ss);
	struct span span;
	struct record r;

	account_since(ss->account, mark, w ? w->slot : ACCOUNT_NO_SLOT, kind, &span);
	if (span.flags & FLAG_RESET)
		return true;
	if (!span.known || !span.fresh)
		return false;
	r = (struct record) { .type = RECORD_LINE,
		.who = w ? WHO_PROCESS : WHO_DEVICE,
		.wall_ns = session_set_wall_ns(ss, t_ns),
		.t_ns = t_ns,
		.interval_ns = span.interval_ns,
		.kind = kind,
		.pid = w ? w->pid : 0,
		.name = w ? w->name : NULL,
		.energy = span.energy,
		.power_uw = span.power_uw,
		.flags = span.flags,
		.attribution = w ? slice_rule(&owner, SLICE_TARGET, kind, false) : NULL };
	ss->hooks.record(ss->hooks.ctx, &r);
	return true;
}

/* A process in a session, as all records of it begin. */
static struct session_report begin_report(const struct session *s, const struct watched *w)
{
	return (struct session_report) { .session_id = s->id,
		.create_ts = s->create_ts,
		.pid = w->pid,
		.start_ticks = w->start_ticks,
		.name = w->name,
		.kinds = s->kinds,
		.start_wall_ns = s->start_wall_ns };
}

void session_write_report(struct session_set *ss, const struct session *s, const struct member *m,
	enum record_type type, uint64_t t_ns)
{
	const struct watched *w = m->watched;
	struct session_report report = begin_report(s, w);
	struct record r = { .type = type,
		.who = WHO_PROCESS,
		.wall_ns = session_set_wall_ns(ss, t_ns),
		.t_ns = t_ns,
		.pid = w->pid,
		.name = w->name,
		.session = &report };

	if (type == RECORD_END) {
		report.end_wall_ns = session_set_wall_ns(ss, t_ns);
		report.measured_ns = r.interval_ns = t_ns - s->start_ns;
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
		if (k == KIND_CPU || !account_shares(ss->account, (enum kind) k))
			continue;
		account_since(ss->account, m->mark, w->slot, (enum kind) k, &span);
		total->own_known = span.known &&
			(kind_goes_by_cpu_time((enum kind) k) ||
				report.measured_ns >= ACCOUNT_USE_NS);
		total->own = span.energy;
	}
	ss->hooks.record(ss->hooks.ctx, &r);
}

void session_write_missed(
	struct session_set *ss, const struct request *request, pid_t pid, const char *name)
{
	const struct clock *clock = ss->options.clock;
	const struct record r = { .type = RECORD_MISSED,
		.who = WHO_PROCESS,
		.wall_ns = clock_wall_ns(clock),
		.t_ns = clock_mono_ns(clock),
		.interval_ns = request->waited_ns,
		.pid = pid,
		.name = name };

	ss->hooks.record(ss->hooks.ctx, &r);
}

void session_write_phases(struct session_set *ss, const struct session *s, const struct member *m,
	const struct phase_table *phases, uint64_t t_ns)
{
	const struct watched *w = m->watched;
	struct session_report report = begin_report(s, w);
	const struct record r = { .type = RECORD_PHASES,
		.who = WHO_PROCESS,
		.wall_ns = session_set_wall_ns(ss, t_ns),
		.t_ns = t_ns,
		.interval_ns = t_ns - s->start_ns,
		.pid = w->pid,
		.name = w->name,
		.session = &report,
		.phases = phases };

	report.end_wall_ns = session_set_wall_ns(ss, t_ns);
	report.measured_ns = t_ns - s->start_ns;
	report.ending = m->ending;
	ss->hooks.record(ss->hooks.ctx, &r);
}
