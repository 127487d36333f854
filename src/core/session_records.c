// SPDX-License-Identifier: MIT
#include "core/session_records.h"

int64_t sessions_wall_ns(const struct sessions *ss, uint64_t t_ns)
{
	return (int64_t) t_ns + ss->wall_offset_ns;
}

static bool has_several_packages(const struct sessions *ss)
{
	size_t n = 0;

	for (size_t d = 0; d < ss->options.n_domains; d++)
		n += sessions_domain(ss, d)->kind == KIND_CPU && sessions_domain(ss, d)->counted;
	return n > 1;
}

/* By which rule a part was given. With several packages the kernel does not tell cheaply on which
 * a process ran: it is then taken to have run on all of them alike. */
static const char *rule_of(
	const struct sessions *ss, enum slice_who who, enum kind kind, bool by_use)
{
	bool several = has_several_packages(ss);

	if (by_use)
		return who == SLICE_TARGET  ? "sm-share"
			: who == SLICE_IDLE ? "idle-share"
					    : "remainder";
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

void session_write_slice(void *ctx, const struct slice *slice)
{
	static const enum record_who whos[] = { WHO_PROCESS, WHO_IDLE, WHO_OTHER, WHO_REST };
	struct sessions *ss = ctx;
	const struct domain *domain = sessions_domain(ss, slice->domain);
	struct record r = { .type = RECORD_DETAIL,
		.wall_ns = sessions_wall_ns(ss, slice->t_ns),
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
		r.attribution = rule_of(ss, part->who, domain->kind, slice->by_use);
		ss->hooks.record(ss->hooks.ctx, &r);
	}
}

bool session_write_line(struct sessions *ss, const struct account_mark *mark,
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
		.wall_ns = sessions_wall_ns(ss, t_ns),
		.t_ns = t_ns,
		.interval_ns = span.interval_ns,
		.kind = kind,
		.pid = w ? w->pid : 0,
		.name = w ? w->name : NULL,
		.energy = span.energy,
		.power_uw = span.power_uw,
		.flags = span.flags,
		.attribution = w ? rule_of(ss, SLICE_TARGET, kind, false) : NULL };
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

void session_write_report(struct sessions *ss, const struct session *s, const struct member *m,
	enum record_type type, uint64_t t_ns)
{
	const struct watched *w = m->watched;
	struct session_report report = begin_report(s, w);
	struct record r = { .type = type,
		.who = WHO_PROCESS,
		.wall_ns = sessions_wall_ns(ss, t_ns),
		.t_ns = t_ns,
		.pid = w->pid,
		.name = w->name,
		.session = &report };

	if (type == RECORD_END) {
		report.end_wall_ns = sessions_wall_ns(ss, t_ns);
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
		if (k == KIND_CPU || !account_shares(ss->account, (enum kind) k))
			continue;
		account_since(ss->account, m->mark, w->slot, (enum kind) k, &span);
		total->own_known = span.known;
		total->own = span.energy;
	}
	ss->hooks.record(ss->hooks.ctx, &r);
}

void session_write_phases(struct sessions *ss, const struct session *s, const struct member *m,
	const struct phase_report *phases, uint64_t t_ns)
{
	const struct watched *w = m->watched;
	struct session_report report = begin_report(s, w);
	const struct record r = { .type = RECORD_PHASES,
		.who = WHO_PROCESS,
		.wall_ns = sessions_wall_ns(ss, t_ns),
		.t_ns = t_ns,
		.interval_ns = t_ns - s->start_ns,
		.pid = w->pid,
		.name = w->name,
		.session = &report,
		.phases = phases };

	report.end_wall_ns = sessions_wall_ns(ss, t_ns);
	report.seconds_ns = t_ns - s->start_ns;
	report.ending = m->ending;
	ss->hooks.record(ss->hooks.ctx, &r);
}
