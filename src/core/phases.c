// SPDX-License-Identifier: MIT
#include "core/phases.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/grow.h"
#include "util/u128.h"

/* A thread that has more open at once has lost its ends. */
#define MAX_OPEN 1024

/* So much may wait at most; what is more is lost. It is what all rings together hold. */
#define MAX_PENDING (1u << 20)
#define MAX_SPANS (1u << 20)

/* Power is taken over from the neighbouring intervals where the readings are this much better than
 * what lies between them. */
#define STEADY_PART 8

struct pending {
	struct phase_marker marker;
	uint64_t order; /* in which they came: it decides between equal times */
};

/* A stretch of time; to_ns is UINT64_MAX while it lasts. */
struct stretch {
	uint64_t from_ns;
	uint64_t to_ns;
};

/* What a track has of a name. */
struct sum {
	uint64_t uj;
	uint64_t low_uj;
	uint64_t high_uj;
	bool known;
	bool in_row; /* the last interval was wholly the name's */
	uint64_t row_uj;
	uint64_t row_from_doubt_uj; /* of the row's first reading, ... */
	uint64_t row_doubt_uj;      /* ... and with its last one's */
	bool in_chain;              /* the last interval was the name's in part at least */
	uint64_t chain_uj;
	uint64_t chain_limited_uj;
	uint64_t chain_from_doubt_uj;
	uint64_t chain_doubt_uj;
	unsigned flags;
};

struct name {
	bool seen;
	uint64_t rank; /* in the order of first markers */
	uint64_t count, unfinished, stray_ends, on_ns, sum_ns;
	uint64_t active;
	struct stretch *stretches; /* in order, disjoint; the last may be open */
	size_t n, cap;
	struct sum *sums; /* by track */
};

struct thread {
	uint32_t *open; /* names, in the order of their beginning */
	size_t n, cap;
};

struct track {
	struct phase_track limits;
	struct phase_point *points;
	size_t n, cap;
	/* The interval from points[next] is the next one to be settled; the one before it is kept
	 * for its power. */
	size_t next;
	uint64_t peak_mw;
	bool begun;      /* the first interval is settled */
	bool incomplete; /* some time of phases passed before it was read */
};

struct phases {
	uint64_t begin_ns;
	uint64_t applied_ns; /* markers up to this time are in the stretches */
	uint64_t n_marked;
	uint64_t n_names;
	size_t n_stretches;
	struct pending *pending;
	size_t n_pending, cap_pending;
	bool sorted;
	struct phase_troubles troubles;
	struct name names[PHASES_MAX_NAMES];
	struct thread threads[PHASES_MAX_THREADS];
	size_t n_tracks;
	struct track tracks[];
};

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

/* open[at] ends. */
static void end_open(struct phases *p, struct thread *thread, size_t at, uint64_t t_ns)
{
	struct name *name = &p->names[thread->open[at]];

	memmove(&thread->open[at], &thread->open[at + 1],
		(thread->n - at - 1) * sizeof(thread->open[0]));
	thread->n--;
	name->sum_ns += t_ns;
	if (--name->active > 0)
		return;
	name->on_ns += t_ns;
	switch_off(name, t_ns);
}

static void end(struct phases *p, struct thread *thread, uint32_t index, uint64_t t_ns)
{
	struct name *name;

	for (size_t i = thread->n; i-- > 0;) {
		if (thread->open[i] != index)
			continue;
		if (i != thread->n - 1)
			p->troubles.misnested++;
		end_open(p, thread, i, t_ns);
		return;
	}
	p->troubles.stray_ends++;
	name = name_of(p, index);
	if (name)
		name->stray_ends++;
}

static void end_all(struct phases *p, struct thread *thread, uint64_t t_ns)
{
	while (thread->n > 0) {
		p->names[thread->open[thread->n - 1]].unfinished++;
		p->troubles.unfinished++;
		end_open(p, thread, thread->n - 1, t_ns);
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
		uint64_t t_ns = m->t_ns;

		if (t_ns < p->applied_ns) {
			/* Before the measuring is no lateness: it counts from its beginning. */
			p->troubles.late += p->applied_ns > p->begin_ns;
			t_ns = p->applied_ns;
		}
		p->applied_ns = t_ns;
		if (m->what == PHASE_BEGIN)
			begin(p, &p->threads[m->thread], m->name, t_ns);
		else if (m->what == PHASE_END)
			end(p, &p->threads[m->thread], m->name, t_ns);
		else
			end_all(p, &p->threads[m->thread], t_ns);
	}
	p->n_pending -= done;
	if (done > 0)
		memmove(p->pending, p->pending + done, p->n_pending * sizeof(p->pending[0]));
	if (until_ns > p->applied_ns)
		p->applied_ns = until_ns;
}

/* ---- intervals between readings --------------------------------------------------------- */

/* How much of the time from a to b the name was on. */
static uint64_t on_between(const struct name *name, uint64_t a_ns, uint64_t b_ns)
{
	size_t low = 0, high = name->n;
	uint64_t sum = 0;

	while (low < high) { /* the first that ends after a */
		size_t middle = (low + high) / 2;

		if (name->stretches[middle].to_ns <= a_ns)
			low = middle + 1;
		else
			high = middle;
	}
	for (size_t i = low; i < name->n && name->stretches[i].from_ns < b_ns; i++) {
		uint64_t from_ns = name->stretches[i].from_ns, to_ns = name->stretches[i].to_ns;

		sum += (to_ns < b_ns ? to_ns : b_ns) - (from_ns > a_ns ? from_ns : a_ns);
	}
	return sum;
}

/* An interval between two readings and how much of it a name has. */
struct part {
	uint64_t uj;
	uint64_t doubt_uj;
	uint64_t ns;
	uint64_t on_ns;
	/* The same for as far as the energy may have been used. */
	uint64_t wide_ns;
	uint64_t wide_on_ns;
};

static struct part part_of(const struct track *t, size_t i, const struct name *name)
{
	const struct phase_point *a = &t->points[i], *b = &t->points[i + 1];
	uint64_t from_ns = a->t_ns > a->t_err_ns ? a->t_ns - a->t_err_ns : 0;
	uint64_t to_ns = b->t_ns + b->t_err_ns;

	return (struct part) { .uj = b->uj - a->uj,
		.doubt_uj = a->doubt_uj + b->doubt_uj,
		.ns = b->t_ns - a->t_ns,
		.on_ns = on_between(name, a->t_ns, b->t_ns),
		.wide_ns = to_ns - from_ns,
		.wide_on_ns = on_between(name, from_ns, to_ns) };
}

/* The most that can be used in a time; UINT64_MAX: not known. */
static uint64_t most_uj(const struct track *t, uint64_t ns)
{
	u128 uj = (u128) t->limits.max_power_mw * ns / 1000000 + 1;

	return t->limits.max_power_mw == 0 || uj > UINT64_MAX ? UINT64_MAX : (uint64_t) uj;
}

/* Power, in microjoules a nanosecond, within and without a name's time. */
struct powers {
	double on, off;
	unsigned n_on, n_off;
};

/* From an interval that is wholly the one or the other. */
static void learn(struct powers *powers, const struct part *p)
{
	if (p->ns == 0 || p->doubt_uj > p->uj / STEADY_PART)
		return;
	if (p->wide_on_ns == p->wide_ns) {
		powers->on += (double) p->uj / (double) p->ns;
		powers->n_on++;
	} else if (p->wide_on_ns == 0) {
		powers->off += (double) p->uj / (double) p->ns;
		powers->n_off++;
	}
}

/* A name's likely part of an interval that it has in part. */
static uint64_t guess(
	const struct track *t, size_t i, const struct name *name, const struct part *p)
{
	double uj = (double) p->uj, on_ns = (double) p->on_ns, off_ns = (double) (p->ns - p->on_ns);
	double ret = uj * on_ns / (on_ns + off_ns), on_uj, off_uj;
	struct powers powers = { 0 };

	if (p->doubt_uj <= p->uj / STEADY_PART) {
		if (i > 0)
			learn(&powers, &(struct part[]) { part_of(t, i - 1, name) }[0]);
		if (i + 2 < t->n)
			learn(&powers, &(struct part[]) { part_of(t, i + 1, name) }[0]);
	}
	on_uj = powers.n_on ? on_ns * powers.on / powers.n_on : 0;
	off_uj = powers.n_off ? off_ns * powers.off / powers.n_off : 0;
	if (powers.n_on && powers.n_off && on_uj + off_uj > 0)
		ret = uj * on_uj / (on_uj + off_uj);
	else if (powers.n_off && !powers.n_on)
		ret = uj - off_uj;
	else if (powers.n_on && !powers.n_off)
		ret = on_uj;
	return ret <= 0 ? 0 : ret >= uj ? p->uj : (uint64_t) (ret + 0.5);
}

static uint64_t at_least(uint64_t uj, uint64_t less_uj)
{
	return uj > less_uj ? uj - less_uj : 0;
}

static uint64_t at_most(uint64_t uj, uint64_t limit_uj)
{
	return uj < limit_uj ? uj : limit_uj;
}

/* A row of intervals that are wholly the name's: what is in doubt about a reading moves energy from one
 * to the next and is no matter but at the row's ends. */
static void end_row(struct sum *sum)
{
	if (sum->in_row)
		sum->low_uj += at_least(sum->row_uj, sum->row_doubt_uj);
	sum->in_row = false;
}

/* The same for intervals that are the name's in part: at most all of them. Where a domain cannot use
 * so much in so little time each of them is limited, and then in doubt by itself. */
static void end_chain(struct sum *sum)
{
	end_row(sum);
	if (sum->in_chain)
		sum->high_uj += at_most(sum->chain_uj + sum->chain_doubt_uj, sum->chain_limited_uj);
	sum->in_chain = false;
}

static void settle_part(struct track *t, size_t i, const struct name *name, struct sum *sum)
{
	const struct part p = part_of(t, i, name);
	uint64_t from_doubt_uj = t->points[i].doubt_uj, to_doubt_uj = t->points[i + 1].doubt_uj;
	uint64_t low_uj, high_uj, uj;

	if (p.wide_on_ns == 0) {
		end_chain(sum);
		return;
	}
	high_uj = at_most(p.uj + p.doubt_uj, most_uj(t, p.wide_on_ns));
	if (!sum->in_chain) {
		sum->in_chain = true;
		sum->chain_uj = sum->chain_limited_uj = 0;
		sum->chain_from_doubt_uj = from_doubt_uj;
	}
	sum->chain_uj += p.uj;
	sum->chain_limited_uj += high_uj;
	sum->chain_doubt_uj = sum->chain_from_doubt_uj + to_doubt_uj;
	if (p.wide_on_ns == p.wide_ns) {
		if (!sum->in_row) {
			sum->in_row = true;
			sum->row_uj = 0;
			sum->row_from_doubt_uj = from_doubt_uj;
		}
		sum->row_uj += p.uj;
		sum->row_doubt_uj = sum->row_from_doubt_uj + to_doubt_uj;
		sum->uj += at_most(p.uj, high_uj);
	} else {
		end_row(sum);
		low_uj = at_least(at_least(p.uj, p.doubt_uj), most_uj(t, p.wide_ns - p.wide_on_ns));
		uj = guess(t, i, name, &p);
		sum->low_uj += low_uj;
		sum->uj += uj < low_uj ? low_uj : at_most(uj, high_uj);
	}
	sum->known = true;
	sum->flags |= t->points[i + 1].flags;
}

static uint64_t power_mw(const struct phase_point *a, const struct phase_point *b)
{
	return muldiv_u64(b->uj - a->uj, 1000000, b->t_ns - a->t_ns);
}

/* What lies before the first reading or after the last is as in the interval beside it, and at most
 * what was ever seen where more is not known to be impossible. */
static void settle_beyond(struct track *t, struct name *name, struct sum *sum, uint64_t from_ns,
	uint64_t to_ns, uint64_t err_ns, uint64_t mw)
{
	uint64_t on_ns = on_between(name, from_ns, to_ns);
	uint64_t most_mw = t->limits.max_power_mw ? t->limits.max_power_mw : t->peak_mw;

	if (on_ns == 0)
		return;
	end_chain(sum);
	sum->known = true;
	sum->uj += muldiv_u64(mw, on_ns, 1000000);
	sum->high_uj += muldiv_u64(most_mw, on_ns + err_ns, 1000000) + 1;
}

static void settle_interval(struct phases *p, size_t track, size_t i)
{
	struct track *t = &p->tracks[track];
	const struct phase_point *from = &t->points[i];
	uint64_t mw = power_mw(from, from + 1);

	if (mw > t->peak_mw)
		t->peak_mw = mw;
	for (size_t k = 0; k < PHASES_MAX_NAMES; k++) {
		struct name *name = &p->names[k];

		if (name->n > 0 && !t->begun)
			settle_beyond(
				t, name, &name->sums[track], 0, from->t_ns, from->t_err_ns, mw);
		if (name->n > 0 || (name->sums && name->sums[track].in_chain))
			settle_part(t, i, name, &name->sums[track]);
	}
	t->begun = true;
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
					      : at_least(t->points[0].t_ns, t->points[0].t_err_ns);

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
			settle_interval(p, i, t->next++);
		forget_points(t);
	}
	forget_stretches(p);
}

static void finish_track(struct phases *p, size_t track, uint64_t end_ns)
{
	struct track *t = &p->tracks[track];

	if (t->n < 2)
		return;
	while (t->next + 1 < t->n)
		settle_interval(p, track, t->next++);
	for (size_t k = 0; k < PHASES_MAX_NAMES; k++) {
		struct name *name = &p->names[k];
		const struct phase_point *last = &t->points[t->n - 1];

		if (!name->seen)
			continue;
		settle_beyond(t, name, &name->sums[track], last->t_ns, end_ns, last->t_err_ns,
			power_mw(last - 1, last));
		end_chain(&name->sums[track]);
		if (t->incomplete)
			name->sums[track].flags |= FLAG_GAP;
	}
}

void phases_finish(struct phases *p, uint64_t end_ns)
{
	apply(p, end_ns);
	for (size_t i = 0; i < PHASES_MAX_THREADS; i++)
		end_all(p, &p->threads[i], end_ns > p->applied_ns ? end_ns : p->applied_ns);
	for (size_t i = 0; i < p->n_tracks; i++)
		finish_track(p, i, end_ns);
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
	ret->energy = (struct energy) { sum->uj, sum->low_uj, sum->high_uj };
	/* A sensor that tells more than its domain can use contradicts itself. */
	if (ret->energy.uj < ret->energy.low_uj)
		ret->energy.uj = ret->energy.low_uj;
	if (ret->energy.high_uj < ret->energy.uj)
		ret->energy.high_uj = ret->energy.uj;
	ret->least_uj = ret->energy.low_uj;
	ret->most_uj = ret->energy.high_uj;
	/* How wrong the sensor may be altogether says nothing about the time. */
	ret->energy.low_uj -= muldiv_u64(ret->energy.low_uj, limits->scale_low_ppm, 1000000);
	ret->energy.high_uj += muldiv_u64(ret->energy.high_uj, limits->scale_high_ppm, 1000000);
}

void phase_energy_add(struct phase_energy *sum, const struct phase_energy *e)
{
	sum->known |= e->known;
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
