// SPDX-License-Identifier: MIT
#include "cli/report/phase_watch.h"

int phase_watch_open(struct phase_watch *w, const char *path, uid_t owner, char *ret_why, size_t n)
{
	*w = (struct phase_watch) { 0 };
	return phase_channel_create(&w->channel, path, owner, ret_why, n);
}

void phase_watch_close(struct phase_watch *w)
{
	phase_meter_destroy(w->meter);
	phase_channel_destroy(w->channel);
	*w = (struct phase_watch) { 0 };
}

int phase_watch_begin(
	struct phase_watch *w, const struct instrument *e, const uint32_t *slots, size_t n)
{
	const struct phase_meter_options options = { .account = gauge_account(e->gauge),
		.domains = rig_domains(e->rig),
		.n_domains = rig_n_domains(e->rig),
		.slots = slots,
		.n_slots = n,
		.tick_ns = e->host->tick_ns };

	w->instrument = e;
	w->begin_ns = gauge_t_ns(e->gauge);
	if (!w->channel)
		return 0;
	return phase_meter_create(&w->meter, &options, w->begin_ns);
}

static void take(void *ctx, const struct phase_marker *m)
{
	struct phase_watch *w = ctx;

	if (w->threads[m->thread] == PHASE_WATCH_NEW)
		w->threads[m->thread] = !w->wants || m->pid == 0 || w->wants(w->ctx, m->pid)
			? PHASE_WATCH_WANTED
			: PHASE_WATCH_NOT;
	if (w->threads[m->thread] == PHASE_WATCH_WANTED)
		phase_meter_mark(w->meter, m);
	else if (m->what != PHASE_GONE)
		w->n_unwanted++;
	if (m->what == PHASE_GONE)
		w->threads[m->thread] = PHASE_WATCH_NEW;
}

bool phase_watch_look(struct phase_watch *w)
{
	if (!w->meter)
		return false;
	phase_channel_read(w->channel, w->begin_ns, false, take, w);
	phase_meter_look(w->meter, gauge_t_ns(w->instrument->gauge));
	return phase_channel_is_used(w->channel);
}

int phase_watch_end(struct phase_watch *w, struct phase_table *ret)
{
	*ret = (struct phase_table) { 0 };
	if (!w->meter)
		return 0;
	phase_channel_read(w->channel, w->begin_ns, true, take, w);
	phase_meter_finish(w->meter, gauge_t_ns(w->instrument->gauge));
	return phase_table_take(ret, w->meter, w->channel, NULL);
}
