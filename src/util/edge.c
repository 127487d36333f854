// SPDX-License-Identifier: MIT
#include "util/edge.h"

/* While an update is looked for, so many reads are made in a period. */
#define SEARCH_READS 20

/* How close to the expected update reads are placed. */
#define ERR_LEAST_NS UINT64_C(1000000)

/* One read in so many updates is made before the update rather than after it. */
#define EARLY_EVERY 8

/* So many updates in a row where none should be: begin the search anew. Each of them doubles what
 * is looked through, so that the pace may be off by a twentieth at first. */
#define MISSES_MAX 6

/* How far before an expected update it is looked for when it came early, in margins. */
#define EARLY_MARGINS 8

/* The pace is taken from updates at least this far apart. */
#define PACE_PERIODS 16

/* An update that is off by more than this part of a period came by a jump. */
#define JUMP_PART 8

void edge_init(struct edge *e, uint64_t period_ns)
{
	*e = (struct edge) { .period_ns = period_ns };
}

void edge_restart(struct edge *e)
{
	edge_init(e, e->period_ns);
}

static uint64_t next_expected_ns(const struct edge *e)
{
	return e->at_ns + e->period_ns;
}

/* An update was seen to lie between two times. */
static void locate(struct edge *e, uint64_t from_ns, uint64_t to_ns)
{
	uint64_t at_ns = from_ns + (to_ns - from_ns) / 2;
	uint64_t err_ns = (to_ns - from_ns) / 2;

	if (e->located) {
		uint64_t n = (at_ns - e->at_ns + e->period_ns / 2) / e->period_ns;
		uint64_t expected_ns = e->at_ns + n * e->period_ns;
		uint64_t off_ns =
			at_ns > expected_ns ? at_ns - expected_ns : expected_ns - at_ns;

		e->n_periods += n;
		/* A jump is not part of the pace. */
		if (e->n_periods > PACE_PERIODS && off_ns > err_ns + e->period_ns / JUMP_PART)
			e->n_periods = 0;
	} else {
		e->n_periods = 0;
	}
	if (e->n_periods == 0)
		e->reference_ns = at_ns;
	e->located = true;
	e->at_ns = at_ns;
	e->err_ns = err_ns;
	if (e->n_periods >= PACE_PERIODS) {
		uint64_t pace_ns = (at_ns - e->reference_ns) / e->n_periods;

		/* Slowly, for a single update may be late. */
		e->period_ns = (3 * e->period_ns + pace_ns) / 4;
		if (e->n_periods >= 64 * PACE_PERIODS) {
			e->reference_ns = at_ns;
			e->n_periods = 0;
		}
	}
}

/* The expected update went by unseen or came where it was expected: it is counted on. */
static void move_on(struct edge *e)
{
	e->at_ns = next_expected_ns(e);
	e->n_periods++;
}

static void lose(struct edge *e)
{
	if (++e->misses >= MISSES_MAX) {
		uint64_t value = e->value, read_ns = e->read_ns;

		edge_restart(e);
		e->value = value;
		e->read_ns = read_ns;
	}
}

/* How far from the expected update a read is placed: half of what is not known of it, so that each
 * pair of reads halves that. */
static uint64_t margin_ns(const struct edge *e)
{
	return e->err_ns / 2 > ERR_LEAST_NS ? e->err_ns / 2 : ERR_LEAST_NS;
}

/* The read was made before the expected update: it should show the old value. */
static bool step_early(struct edge *e, bool changed, uint64_t t_ns)
{
	uint64_t from_ns;

	e->is_early = false;
	if (!changed)
		return false;
	/* It came earlier than expected, but hardly by much. The next read tells whether that was
	 * all: it is an early one again. */
	from_ns = next_expected_ns(e) - EARLY_MARGINS * margin_ns(e);
	if (from_ns < e->read_ns)
		from_ns = e->read_ns;
	lose(e);
	if (e->located && from_ns < t_ns) {
		locate(e, from_ns, t_ns);
		e->is_early = true;
	}
	return true;
}

/* The read was made after the expected update: it should show a new value. */
static bool step_late(struct edge *e, bool changed, uint64_t t_ns)
{
	uint64_t expected_ns = next_expected_ns(e);

	if (!changed) {
		/* Later than expected: it lies after this read, which is made again at twice the
		 * distance. */
		if (e->err_ns < e->period_ns / 4)
			e->err_ns = margin_ns(e) * 4;
		lose(e);
		return false;
	}
	if (t_ns > expected_ns + e->period_ns) {
		/* So long after that more than one update may lie between: only counting helps. */
		while (next_expected_ns(e) + margin_ns(e) <= t_ns)
			move_on(e);
		return true;
	}
	if (e->read_ns + 4 * margin_ns(e) >= t_ns && e->read_ns < t_ns) {
		/* The read before was close: the update is caught between the two. */
		locate(e, e->read_ns, t_ns);
		e->since_early = 0;
		e->misses = 0;
	} else {
		move_on(e);
		if (e->at_ns > t_ns)
			e->at_ns = t_ns;
		e->misses = 0;
	}
	if (++e->since_early >= EARLY_EVERY)
		e->is_early = true;
	return true;
}

bool edge_step(struct edge *e, uint64_t value, uint64_t t_ns)
{
	bool changed = e->read_ns > 0 && value != e->value;
	bool news = changed;

	if (!e->located) {
		/* Searching: two reads close to each other with a change between them. */
		if (changed && t_ns - e->read_ns <= e->period_ns / (SEARCH_READS / 4)) {
			locate(e, e->read_ns, t_ns);
			e->misses = 0;
			e->is_early = true;
		}
	} else if (e->is_early && t_ns < next_expected_ns(e)) {
		news = step_early(e, changed, t_ns);
	} else {
		news = step_late(e, changed, t_ns);
	}
	e->value = value;
	e->read_ns = t_ns;
	return news;
}

uint64_t edge_next_ns(const struct edge *e, uint64_t now_ns)
{
	uint64_t due_ns;

	if (!e->located)
		return now_ns + e->period_ns / SEARCH_READS;
	due_ns = e->is_early ? next_expected_ns(e) - margin_ns(e)
			     : next_expected_ns(e) + margin_ns(e);
	/* A late read that came too early is made again a margin later. */
	return due_ns > now_ns ? due_ns : now_ns + margin_ns(e);
}
