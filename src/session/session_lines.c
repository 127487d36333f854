// SPDX-License-Identifier: MIT
#include "session/session_lines.h"

#include <string.h>

#include "session/session_records.h"
#include "session/session_targets.h"

static void begin_line(struct session_set *ss, struct account_mark **mark, struct line_clock *line,
	uint32_t slot, enum kind kind, uint64_t t_ns)
{
	if (*mark || !(ss->have & KIND_BIT(kind)))
		return;
	*mark = account_mark_new(ss->account, slot);
	*line = (struct line_clock) { .period_ns = ss->options.period_ns[kind], .last_ns = t_ns };
}

void session_begin_line(struct session_set *ss, struct watched *w, enum kind kind, uint64_t t_ns)
{
	if (w)
		begin_line(ss, &w->line_mark, &w->line, w->slot, kind, t_ns);
	else
		begin_line(ss, &ss->devices[kind].mark, &ss->devices[kind].line, ACCOUNT_NO_SLOT,
			kind, t_ns);
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
static struct outlook look_ahead(
	const struct session_set *ss, const struct watched *w, enum kind kind)
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
				o.ends_as_known |= m->ending == ENDING_TIME_UP;
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

static void work_on_line(struct session_set *ss, struct account_mark **mark,
	struct line_clock *line, const struct watched *w, enum kind kind,
	const struct snapshot *snapshot)
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
		session_write_line(ss, *mark, w, kind, snapshot->t_ns)) {
		account_mark_renew(ss->account, *mark);
		line->last_ns = snapshot->t_ns;
		line->any = true;
	}
	if (!o.wanted_on) {
		account_mark_free(*mark);
		*mark = NULL;
	}
}

void session_write_lines(struct session_set *ss, const struct snapshot *snapshot)
{
	for (uint32_t i = 0; i < ss->n_slots; i++) {
		struct watched *w = ss->watched[i];

		if (!w || !w->line_mark)
			continue;
		if (!w->named_again && snapshot->t_ns > w->line.last_ns) {
			watched_refresh_name(w);
			w->named_again = true;
		}
		work_on_line(ss, &w->line_mark, &w->line, w, KIND_CPU, snapshot);
	}
	for (int k = 0; k < KIND_COUNT; k++)
		work_on_line(ss, &ss->devices[k].mark, &ss->devices[k].line, NULL, (enum kind) k,
			snapshot);
}
