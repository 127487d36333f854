// SPDX-License-Identifier: MIT
#include "phases/phases.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "phases/phases_state.h"
#include "util/grow.h"
#include "util/u128.h"

/* A thread that has more open at once has lost its ends. */
#define MAX_OPEN 1024

/* So much may wait at most; what is more is lost. It is what all rings together hold. */
#define MAX_PENDING (1u << 20)
#define MAX_SPANS (1u << 20)

/* ---- making and freeing ----------------------------------------------------------------- */

int phases_create(
	struct phases **ret, const struct phase_track *tracks, size_t n_tracks, uint64_t begin_ns)
{
	struct phases *p = calloc(1, sizeof(*p) + n_tracks * sizeof(p->tracks[0]));

	if (!p)
		return -ENOMEM;
	p->begin_ns = p->applied_ns = begin_ns;
	p->sorted = true;
	p->n_tracks = n_tracks;
	for (size_t i = 0; i < n_tracks; i++)
		p->tracks[i].limits = tracks[i];
	*ret = p;
	return 0;
}

void phases_destroy(struct phases *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < PHASES_MAX_NAMES; i++) {
		free(p->names[i].stretches);
		free(p->names[i].sums);
	}
	for (size_t i = 0; i < PHASES_MAX_THREADS; i++)
		free(p->threads[i].open);
	for (size_t i = 0; i < p->n_tracks; i++)
		free(p->tracks[i].points);
	free(p->pending);
	free(p);
}

/* ---- taking in -------------------------------------------------------------------------- */

void phases_mark(struct phases *p, const struct phase_marker *m)
{
	struct pending *list;

	if (m->thread >= PHASES_MAX_THREADS ||
		(m->what != PHASE_GONE && m->name >= PHASES_MAX_NAMES)) {
		p->troubles.rubbish++;
		return;
	}
	list = p->n_pending < MAX_PENDING
		? grow_list(p->pending, p->n_pending, &p->cap_pending, sizeof(*list))
		: NULL;
	if (!list) {
		p->troubles.lost++;
		return;
	}
	p->pending = list;
	if (p->n_pending > 0 && m->t_ns < list[p->n_pending - 1].marker.t_ns)
		p->sorted = false;
	list[p->n_pending++] = (struct pending) { .marker = *m, .order = p->n_marked++ };
}

void phases_point(struct phases *p, size_t track, const struct phase_point *point)
{
	struct track *t = &p->tracks[track];
	struct phase_point *list;

	if (t->n > 0 &&
		(point->t_ns <= t->points[t->n - 1].t_ns || point->uj < t->points[t->n - 1].uj))
		return;
	list = grow_list(t->points, t->n, &t->cap, sizeof(*list));
	if (!list) /* the next interval is the longer */
		return;
	t->points = list;
	list[t->n++] = *point;
}

/* ---- markers become stretches ----------------------------------------------------------- */

static int compare_pending(const void *a, const void *b)
{
	const struct pending *x = a, *y = b;

	if (x->marker.t_ns != y->marker.t_ns)
		return x->marker.t_ns < y->marker.t_ns ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static struct name *name_of(struct phases *p, uint32_t index)
{
	struct name *name = &p->names[index];

	if (name->seen)
		return name;
	name->sums = calloc(p->n_tracks ? p->n_tracks : 1, sizeof(*name->sums));
	if (!name->sums)
		return NULL;
	name->seen = true;
	name->rank = p->n_names++;
	return name;
}

static bool switch_on(struct phases *p, struct name *name, uint64_t t_ns)
{
	struct stretch *last = name->n ? &name->stretches[name->n - 1] : NULL, *list;

	if (last && last->to_ns == t_ns) { /* without a pause */
		last->to_ns = UINT64_MAX;
		return true;
	}
	list = p->n_stretches < MAX_SPANS
		? grow_list(name->stretches, name->n, &name->cap, sizeof(*list))
		: NULL;
	if (!list)
		return false;
	name->stretches = list;
	list[name->n++] = (struct stretch) { t_ns, UINT64_MAX };
	p->n_stretches++;
	return true;
}

static void switch_off(struct name *name, uint64_t t_ns)
{
	name->stretches[name->n - 1].to_ns = t_ns;
}

static void begin(struct phases *p, struct thread *thread, uint32_t index, uint64_t t_ns)
{
	struct name *name = name_of(p, index);
	uint32_t *open = name && thread->n < MAX_OPEN
		? grow_list(thread->open, thread->n, &thread->cap, sizeof(*open))
		: NULL;

	if (!open) {
		p->troubles.lost++;
		return;
	}
	thread->open = open;
	if (name->active == 0 && !switch_on(p, name, t_ns)) {
		p->troubles.lost++;
		return;
	}
	if (name->active++ == 0)
		name->on_ns -= t_ns;
	name->sum_ns -= t_ns;
	name->count++;
	open[thread->n++] = index;
}

/* open[at] ends. before: that was before the measuring began, so that it was never on. */
static void end_open(struct phases *p, struct thread *thread, size_t at, uint64_t t_ns, bool before)
{
	struct name *name = &p->names[thread->open[at]];

	memmove(&thread->open[at], &thread->open[at + 1],
		(thread->n - at - 1) * sizeof(thread->open[0]));
	thread->n--;
	name->sum_ns += t_ns;
	name->count -= before;
	if (--name->active > 0)
		return;
	name->on_ns += t_ns;
	switch_off(name, t_ns);
}

static void end(struct phases *p, struct thread *thread, uint32_t index, uint64_t t_ns, bool before)
{
	struct name *name;

	for (size_t i = thread->n; i-- > 0;) {
		if (thread->open[i] != index)
			continue;
		p->troubles.misnested += i != thread->n - 1 && !before;
		end_open(p, thread, i, t_ns, before);
		return;
	}
	name = before ? NULL : name_of(p, index);
	p->troubles.stray_ends += !before;
	if (name)
		name->stray_ends++;
}

static void end_all(struct phases *p, struct thread *thread, uint64_t t_ns, bool before)
{
	while (thread->n > 0) {
		p->names[thread->open[thread->n - 1]].unfinished += !before;
		p->troubles.unfinished += !before;
		end_open(p, thread, thread->n - 1, t_ns, before);
	}
}

static void apply(struct phases *p, uint64_t until_ns)
{
	size_t done = 0;

	if (!p->sorted)
		qsort(p->pending, p->n_pending, sizeof(p->pending[0]), compare_pending);
	p->sorted = true;
	for (; done < p->n_pending && p->pending[done].marker.t_ns <= until_ns; done++) {
		const struct phase_marker *m = &p->pending[done].marker;
		bool before = m->t_ns < p->begin_ns;
		uint64_t t_ns = m->t_ns;

		if (t_ns < p->applied_ns) {
			/* Before the measuring is no lateness: it counts from its beginning. */
			p->troubles.late += !before;
			t_ns = p->applied_ns;
		}
		p->applied_ns = t_ns;
		if (m->what == PHASE_BEGIN)
			begin(p, &p->threads[m->thread], m->name, t_ns);
		else if (m->what == PHASE_END)
			end(p, &p->threads[m->thread], m->name, t_ns, before);
		else
			end_all(p, &p->threads[m->thread], t_ns, before);
	}
	p->n_pending -= done;
	if (done > 0)
		memmove(p->pending, p->pending + done, p->n_pending * sizeof(p->pending[0]));
	if (until_ns > p->applied_ns)
		p->applied_ns = until_ns;
}

/* ---- forgetting what is settled --------------------------------------------------------- */

static void forget_points(struct track *t)
{
	size_t drop = t->next > 1 ? t->next - 1 : 0;

	if (drop == 0)
		return;
	t->n -= drop;
	t->next -= drop;
	memmove(t->points, t->points + drop, t->n * sizeof(t->points[0]));
}

static void forget_stretches(struct phases *p)
{
	uint64_t keep_ns = p->applied_ns;

	for (size_t i = 0; i < p->n_tracks; i++) {
		const struct track *t = &p->tracks[i];
		uint64_t first_ns = t->n == 0 ? keep_ns
			: !t->begun           ? p->begin_ns
				    : phases_at_least(t->points[0].t_ns, t->points[0].t_err_ns);

		keep_ns = first_ns < keep_ns ? first_ns : keep_ns;
	}
	for (size_t k = 0; k < PHASES_MAX_NAMES; k++) {
		struct name *name = &p->names[k];
		size_t drop = 0;

		while (drop < name->n && name->stretches[drop].to_ns < keep_ns)
			drop++;
		if (drop == 0)
			continue;
		for (size_t i = 0; i < p->n_tracks; i++)
			p->tracks[i].incomplete |= p->tracks[i].n == 0;
		name->n -= drop;
		p->n_stretches -= drop;
		memmove(name->stretches, name->stretches + drop,
			name->n * sizeof(name->stretches[0]));
	}
}

/* ---- what is for others ----------------------------------------------------------------- */

void phases_settle(struct phases *p, uint64_t now_ns)
{
	/* Where there are too many markers they are not waited for. */
	uint64_t wait_ns = p->n_pending > MAX_PENDING / 2 ? 0 : PHASES_WAIT_NS;

	if (now_ns < p->applied_ns + wait_ns)
		return;
	apply(p, now_ns - wait_ns);
	for (size_t i = 0; i < p->n_tracks; i++) {
		struct track *t = &p->tracks[i];

		while (t->next + 2 < t->n &&
			t->points[t->next + 2].t_ns + t->points[t->next + 2].t_err_ns <=
				p->applied_ns)
			phases_settle_interval(p, i, t->next++);
		forget_points(t);
	}
	forget_stretches(p);
}

void phases_finish(struct phases *p, uint64_t end_ns)
{
	apply(p, end_ns);
	for (size_t i = 0; i < PHASES_MAX_THREADS; i++)
		end_all(p, &p->threads[i], end_ns > p->applied_ns ? end_ns : p->applied_ns, false);
	for (size_t i = 0; i < p->n_tracks; i++)
		phases_finish_track(p, i, end_ns);
}

size_t phases_list(const struct phases *p, struct phase_figures ret[PHASES_MAX_NAMES])
{
	for (uint32_t k = 0; k < PHASES_MAX_NAMES; k++) {
		const struct name *name = &p->names[k];

		if (!name->seen)
			continue;
		ret[name->rank] = (struct phase_figures) { .name = k,
			.count = name->count,
			.unfinished = name->unfinished,
			.stray_ends = name->stray_ends,
			.on_ns = name->on_ns,
			.sum_ns = name->sum_ns };
	}
	return (size_t) p->n_names;
}

void phases_energy(const struct phases *p, uint32_t name, size_t track, struct phase_energy *ret)
{
	const struct phase_track *limits = &p->tracks[track].limits;
	const struct sum *sum = p->names[name].sums ? &p->names[name].sums[track] : NULL;

	*ret = (struct phase_energy) { 0 };
	if (!sum || !sum->known)
		return;
	ret->known = true;
	ret->flags = sum->flags;
	ret->energy = (struct energy) { sum->uj, sum->low_uj, sum->high_uj, 0 };
	/* A sensor that tells more than its domain can use contradicts itself. */
	if (ret->energy.uj < ret->energy.low_uj)
		ret->energy.uj = ret->energy.low_uj;
	if (ret->energy.high_uj < ret->energy.uj)
		ret->energy.high_uj = ret->energy.uj;
	/* Nothing more is known of it than its bounds. */
	ret->energy.sd_uj = (ret->energy.high_uj - ret->energy.low_uj) / 2;
	ret->least_uj = ret->energy.low_uj;
	ret->most_uj = ret->energy.high_uj;
	/* How wrong the sensor may be altogether says nothing about the time. */
	ret->energy.low_uj -= muldiv_u64(ret->energy.low_uj, limits->scale_low_ppm, 1000000);
	ret->energy.high_uj += muldiv_u64(ret->energy.high_uj, limits->scale_high_ppm, 1000000);
}

void phase_energy_add(struct phase_energy *sum, const struct phase_energy *e)
{
	/* Of a sum of which a part is not known nothing is. */
	sum->known = e->known && (sum->known || !sum->any);
	sum->any = true;
	sum->energy.uj += e->energy.uj;
	sum->energy.low_uj += e->energy.low_uj;
	sum->energy.high_uj += e->energy.high_uj;
	sum->least_uj += e->least_uj;
	sum->most_uj += e->most_uj;
	sum->flags |= e->flags;
}

void phases_troubles(const struct phases *p, struct phase_troubles *ret)
{
	*ret = p->troubles;
}
