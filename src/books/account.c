// SPDX-License-Identifier: MIT
#include "books/account.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "books/account_share.h"
#include "books/account_state.h"

/* ---- making and freeing ----------------------------------------------------------------- */

static int grow(struct account *a, uint32_t slot)
{
	uint32_t n = a->n_slots ? a->n_slots : 8;
	struct account_target **targets;
	void *p;

	while (n <= slot)
		n *= 2;
	targets = realloc(a->targets, n * sizeof(struct account_target *));
	if (!targets)
		return -ENOMEM;
	a->targets = targets;
	if (!(p = realloc(a->slots, n * sizeof(*a->slots))))
		return -ENOMEM;
	a->slots = p;
	if (!(p = realloc(a->shares, n * sizeof(*a->shares))))
		return -ENOMEM;
	a->shares = p;
	/* Each target, and at most two parts for the rest. */
	if (!(p = realloc(a->parts, (n + 2) * sizeof(*a->parts))))
		return -ENOMEM;
	a->parts = p;
	memset(targets + a->n_slots, 0, (n - a->n_slots) * sizeof(struct account_target *));
	a->n_slots = n;
	return 0;
}

int account_create(struct account **ret, const struct domain *const *domains, size_t n_domains,
	const struct account_options *options, const struct account_watcher *watcher)
{
	struct account *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->books = calloc(n_domains ? n_domains : 1, sizeof(*a->books));
	/* The rest of a domain needs room in the scratch also where there are no targets. */
	if (!a->books || grow(a, 0) < 0) {
		account_destroy(a);
		return -ENOMEM;
	}
	a->n_domains = n_domains;
	a->options = *options;
	if (watcher)
		a->watcher = *watcher;
	for (size_t i = 0, column = 0; i < n_domains; i++) {
		a->books[i].domain = domains[i];
		if (domains[i]->tells_users && column < METER_MAX_USED)
			a->books[i].column = column++;
	}
	*ret = a;
	return 0;
}

void account_destroy(struct account *a)
{
	if (!a)
		return;
	for (uint32_t i = 0; i < a->n_slots; i++)
		free(a->targets[i]);
	free(a->targets);
	free(a->books);
	free(a->slots);
	free(a->shares);
	free(a->parts);
	free(a);
}

int account_add_target(struct account *a, uint32_t slot)
{
	int r = slot < a->n_slots ? 0 : grow(a, slot);

	if (r < 0)
		return r;
	account_drop_target(a, slot);
	/* It has no part in what waits. */
	account_settle_uses(a);
	a->targets[slot] = calloc(
		1, sizeof(struct account_target) + a->n_domains * sizeof(struct target_book));
	return a->targets[slot] ? 0 : -ENOMEM;
}

void account_drop_target(struct account *a, uint32_t slot)
{
	if (slot >= a->n_slots)
		return;
	free(a->targets[slot]);
	a->targets[slot] = NULL;
}

/* ---- entering a snapshot ---------------------------------------------------------------- */

/* Takes over the targets' CPU times; returns how many there are, their numbers in a->slots. */
static uint32_t enter_usages(struct account *a, const struct snapshot *s)
{
	const struct usage *usages = snapshot_usages(s);
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_targets; i++) {
		struct account_target *t = account_target_of(a, usages[i].slot);

		if (!t)
			continue;
		t->cpu_ns = usages[i].cpu_ns;
		t->flags = usages[i].flags;
		t->tail_ns = usages[i].tail_ns;
		for (size_t d = 0; d < a->n_domains; d++)
			if (a->books[d].domain->tells_users)
				t->books[d].used_ppm = usages[i].used_ppm[a->books[d].column];
		if (!t->begun) {
			t->begun = true;
			for (size_t d = 0; d < a->n_domains; d++)
				t->books[d].base_cpu_ns = t->cpu_ns;
		}
		a->slots[n++] = usages[i].slot;
	}
	return n;
}

/* Starts counting a domain's intervals at this point: what targets used before does not count. */
static void begin_at(struct account *a, size_t d, uint32_t n_targets, const struct point *point)
{
	a->books[d].point = *point;
	for (uint32_t i = 0; i < n_targets; i++) {
		struct account_target *t = a->targets[a->slots[i]];

		t->books[d].base_cpu_ns = t->cpu_ns;
		t->books[d].share.surplus_ns = 0;
	}
}

/* The same where there is no reading yet. */
static void begin_at_snapshot(
	struct account *a, const struct snapshot *s, size_t d, uint32_t n_targets)
{
	const struct point point = {
		.t_ns = s->t_ns, .capacity_ns = s->capacity_ns, .idle_ns = s->idle_ns
	};

	begin_at(a, d, n_targets, &point);
}

static void note_failure(struct account *a, size_t d, int error, uint64_t t_ns)
{
	struct domain_book *b = &a->books[d];

	if (b->failing_since_ns == 0) {
		b->failing_since_ns = t_ns;
		if (a->watcher.failing)
			a->watcher.failing(a->watcher.ctx, d, error);
	} else if (!b->lost && t_ns - b->failing_since_ns >= ACCOUNT_LOST_NS) {
		b->lost = true;
		if (a->watcher.lost)
			a->watcher.lost(a->watcher.ctx, d);
	}
}

/* Returns the flag for the interval that ends now. */
static unsigned note_success(struct account *a, size_t d, uint64_t t_ns)
{
	struct domain_book *b = &a->books[d];
	uint64_t since_ns = b->failing_since_ns;

	if (since_ns == 0)
		return 0;
	b->failing_since_ns = 0;
	b->lost = false;
	b->gaps++;
	if (a->watcher.recovered)
		a->watcher.recovered(a->watcher.ctx, d, t_ns - since_ns);
	return FLAG_GAP;
}

static void note_dispute(struct account *a, size_t d, unsigned flags)
{
	struct domain_book *b = &a->books[d];

	if (!(flags & FLAG_DISPUTED) || b->disputed)
		return;
	b->disputed = true;
	if (a->watcher.disputed)
		a->watcher.disputed(a->watcher.ctx, d);
}

static void enter_reading(struct account *a, const struct snapshot *s, size_t d, uint32_t n_targets)
{
	struct domain_book *b = &a->books[d];
	const struct reading *r = &snapshot_readings(s)[d];
	struct point now = { .t_ns = r->t_ns,
		.t_err_ns = r->t_err_ns,
		.energy_uj = r->energy_uj,
		.since_ns = r->since_ns,
		.power_mw = r->power_mw,
		.capacity_ns = s->capacity_ns,
		.idle_ns = s->idle_ns,
		.looked_ns = r->looked_ns,
		.busy_ppm = r->busy_ppm };
	unsigned flags;

	b->fresh = false;
	if ((s->flags & SNAPSHOT_FIRST) || (s->restarted & KIND_BIT(b->domain->kind))) {
		/* Also where the first readings fail, nothing before this snapshot counts. */
		b->have = b->early = false;
		b->failing_since_ns = 0;
		begin_at_snapshot(a, s, d, n_targets);
	}
	if (!(s->kinds & KIND_BIT(b->domain->kind)))
		return;
	if (r->error == -EAGAIN) {
		/* Counting will begin soon: until then, the targets' clocks count from here. */
		b->have = false;
		b->early = true;
		begin_at_snapshot(a, s, d, n_targets);
		return;
	}
	if (r->error) {
		note_failure(a, d, r->error, s->t_ns);
		return;
	}
	if (r->power_mw > b->most_mw)
		b->most_mw = r->power_mw;
	note_dispute(a, d, r->flags);
	flags = note_success(a, d, s->t_ns) | (s->missed_ticks ? FLAG_LATE : 0) |
		b->domain->quality | (b->disputed ? FLAG_DISPUTED : 0);
	if (!b->have && b->early && r->t_ns > r->since_ns) {
		/* It began between two snapshots, with energy 0 at since_ns. */
		b->point.t_ns = r->since_ns;
		b->point.t_err_ns = r->t_err_ns;
		b->point.since_ns = r->since_ns;
		b->point.power_mw = r->power_mw;
		b->point.energy_uj = 0;
		b->begin_ns = r->since_ns;
		b->begin_mw = r->power_mw;
	} else if (!b->have) {
		begin_at(a, d, n_targets, &now);
		b->begin_ns = r->t_ns;
		b->begin_mw = r->power_mw;
		b->have = b->fresh = true;
		b->early = false;
		return;
	} else if (r->since_ns != b->point.since_ns) {
		b->resets++;
		if (a->watcher.restarted)
			a->watcher.restarted(a->watcher.ctx, d);
		begin_at(a, d, n_targets, &now);
		b->fresh = true;
		return;
	}
	b->have = true;
	b->early = false;
	if (now.t_ns <= b->point.t_ns) /* the hardware has not updated it since */
		return;
	account_advance(a, d, n_targets, &now, flags);
	b->fresh = true;
}

void account_enter(struct account *a, const struct snapshot *s)
{
	uint32_t n_targets;

	if (s->flags & SNAPSHOT_FIRST) {
		for (size_t d = 0; d < a->n_domains; d++) {
			a->books[d].lost = false;
			a->books[d].peak_mw = a->books[d].most_mw = 0;
			account_settle(&a->books[d]);
			account_drop_held(&a->books[d]);
		}
	}
	a->t_ns = s->t_ns;
	a->n_cpu = s->n_cpu;
	a->missed_ticks += s->missed_ticks;
	n_targets = enter_usages(a, s);
	for (size_t d = 0; d < a->n_domains; d++)
		enter_reading(a, s, d, n_targets);
}
