// SPDX-License-Identifier: MIT
/*
 * What one reading does to a domain's book: two machines, of which the first says where energy is
 * counted from, the second whether the domain can be read at all.
 *
 *   book      | begins soon (-EAGAIN)           | error | reading
 *   ----------+---------------------------------+-------+-------------------------------------------
 *   NONE      | begin at snapshot, -> AWAITED   | stay  | begin at it, -> COUNTING
 *   AWAITED   | begin at snapshot               | stay  | later than its counter's beginning: begin
 *             |                                 |       | there with 0 J, advance; else begin at it;
 *             |                                 |       | -> COUNTING
 *   COUNTING  | begin at snapshot, -> AWAITED   | stay  | of another beginning: count a reset, say
 *             |                                 |       | "restarted", begin at it; else, where it is
 *             |                                 |       | later than the last one: advance
 *
 *   health    | error                                    | reading
 *   ----------+------------------------------------------+----------------------------------------
 *   OK        | note the time, say "failing", -> FAILING | -
 *   FAILING   | after ACCOUNT_LOST_NS: say "lost",       | count a gap, say "recovered", the
 *             | -> LOST                                  | interval has FLAG_GAP, -> OK
 *   LOST      | -                                        | the same
 *
 * With a new series, or a kind whose counting began again, the book goes to NONE and its health to
 * OK before the reading is looked at. A kind that was not read changes nothing.
 */
#include "books/account_reading.h"

#include <errno.h>

#include "books/account_share.h"

/* A value whose age is not known: no counter that is known is updated less often. */
#define STALE_MOST_NS (10 * NS_PER_S)

/* ---- the book --------------------------------------------------------------------------- */

/* What targets used before this point does not count. */
static void begin_at(struct account *a, size_t d, const struct point *point)
{
	a->books[d].point = *point;
	for (uint32_t i = 0; i < a->n_present; i++) {
		struct account_target *t = a->targets[a->slots[i]];

		t->books[d].base_cpu_ns = t->cpu_ns;
		t->books[d].share.surplus = 0;
	}
}

static void begin_at_snapshot(
	struct account *a, const struct snapshot *s, size_t d, enum book_state state)
{
	const struct point point = {
		.t_ns = s->t_ns, .capacity_ns = s->capacity_ns, .idle_ns = s->idle_ns
	};

	begin_at(a, d, &point);
	a->books[d].state = state;
}

static void count_from(struct domain_book *b, uint64_t t_ns, uint64_t power_mw)
{
	b->begin_ns = t_ns;
	b->begin_mw = power_mw;
	b->state = BOOK_COUNTING;
}

static void begin_at_reading(struct account *a, size_t d, const struct point *now)
{
	begin_at(a, d, now);
	count_from(&a->books[d], now->t_ns, now->power_mw);
}

/* The counter began between two snapshots, at 0 J; the targets' clocks count from the first. */
static void begin_between(struct domain_book *b, const struct point *now)
{
	b->point.t_ns = b->point.since_ns = now->since_ns;
	b->point.t_err_ns = now->t_err_ns;
	b->point.stale_ns = 0;
	b->point.power_mw = now->power_mw;
	b->point.energy_uj = 0;
	count_from(b, now->since_ns, now->power_mw);
}

static void restart_at_reading(struct account *a, size_t d, const struct point *now)
{
	a->books[d].resets++;
	if (now->t_ns > a->books[d].point.t_ns)
		a->books[d].hole_ns += now->t_ns - a->books[d].point.t_ns;
	if (a->watcher.restarted)
		a->watcher.restarted(a->watcher.ctx, d);
	begin_at(a, d, now);
}

/* Returns whether the point moved. */
static bool book_reading(struct account *a, size_t d, const struct point *now, unsigned flags)
{
	struct domain_book *b = &a->books[d];

	switch (b->state) {
	case BOOK_NONE:
		begin_at_reading(a, d, now);
		return true;
	case BOOK_AWAITED:
		if (now->t_ns <= now->since_ns) {
			begin_at_reading(a, d, now);
			return true;
		}
		begin_between(b, now);
		break;
	case BOOK_COUNTING:
		if (now->since_ns != b->point.since_ns) {
			restart_at_reading(a, d, now);
			return true;
		}
		if (now->t_ns <= b->point.t_ns) /* the hardware has not updated it since */
			return false;
		break;
	}
	account_advance(a, d, now, flags);
	return true;
}

/* ---- health ----------------------------------------------------------------------------- */

static void health_error(struct account *a, size_t d, int error, uint64_t t_ns)
{
	struct domain_book *b = &a->books[d];

	switch (b->health) {
	case HEALTH_OK:
		b->failing_since_ns = t_ns;
		b->health = HEALTH_FAILING;
		if (a->watcher.failing)
			a->watcher.failing(a->watcher.ctx, d, error);
		break;
	case HEALTH_FAILING:
		if (t_ns - b->failing_since_ns < ACCOUNT_LOST_NS)
			break;
		b->health = HEALTH_LOST;
		if (a->watcher.lost)
			a->watcher.lost(a->watcher.ctx, d);
		break;
	case HEALTH_LOST:
		break;
	}
}

/* Returns the flag for the interval that ends now. */
static unsigned health_reading(struct account *a, size_t d, uint64_t t_ns)
{
	struct domain_book *b = &a->books[d];

	if (b->health == HEALTH_OK)
		return 0;
	b->health = HEALTH_OK;
	b->gaps++;
	if (a->watcher.recovered)
		a->watcher.recovered(a->watcher.ctx, d, t_ns - b->failing_since_ns);
	return FLAG_GAP;
}

/* ---- a reading -------------------------------------------------------------------------- */

static void note_dispute(struct account *a, size_t d, unsigned flags)
{
	struct domain_book *b = &a->books[d];

	if (!(flags & FLAG_DISPUTED) || b->disputed)
		return;
	b->disputed = true;
	if (a->watcher.disputed)
		a->watcher.disputed(a->watcher.ctx, d);
}

/* A reading that is there. */
static bool take_reading(
	struct account *a, const struct snapshot *s, size_t d, const struct reading *r)
{
	struct domain_book *b = &a->books[d];
	const struct point now = { .t_ns = r->t_ns,
		.t_err_ns = r->t_err_ns,
		.stale_ns = r->stale_ns < STALE_MOST_NS ? r->stale_ns : STALE_MOST_NS,
		.energy_uj = r->energy_uj,
		.since_ns = r->since_ns,
		.power_mw = r->power_mw,
		.capacity_ns = s->capacity_ns,
		.idle_ns = s->idle_ns,
		.looked_ns = r->looked_ns,
		.busy_ppm = r->busy_ppm };
	unsigned flags = b->domain->quality | (s->missed_ticks ? FLAG_LATE : 0);

	if (r->power_mw > b->most_mw)
		b->most_mw = r->power_mw;
	note_dispute(a, d, r->flags);
	flags |= health_reading(a, d, s->t_ns) | (b->disputed ? FLAG_DISPUTED : 0);
	return book_reading(a, d, &now, flags);
}

bool account_enter_reading(struct account *a, const struct snapshot *s, size_t d)
{
	uint32_t kind = KIND_BIT(a->books[d].domain->kind);
	const struct reading *r = &snapshot_readings(s)[d];

	if ((s->flags & SNAPSHOT_FIRST) || (s->restarted & kind)) {
		/* Also where the first readings fail, nothing before this snapshot counts. */
		begin_at_snapshot(a, s, d, BOOK_NONE);
		a->books[d].health = HEALTH_OK;
	}
	if (!(s->kinds & kind))
		return false;
	if (r->error == -EAGAIN) {
		begin_at_snapshot(a, s, d, BOOK_AWAITED);
		return false;
	}
	if (r->error) {
		health_error(a, d, r->error, s->t_ns);
		return false;
	}
	return take_reading(a, s, d, r);
}
