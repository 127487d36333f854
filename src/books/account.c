// SPDX-License-Identifier: MIT
#include "books/account.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "books/account_reading.h"
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

/* Takes over the targets' CPU times. */
static void enter_usages(struct account *a, const struct snapshot *s)
{
	const struct usage *usages = snapshot_usages(s);

	a->n_present = 0;
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
		a->slots[a->n_present++] = usages[i].slot;
	}
}

void account_enter(struct account *a, const struct snapshot *s)
{
	if (s->flags & SNAPSHOT_FIRST) {
		for (size_t d = 0; d < a->n_domains; d++) {
			a->books[d].peak_mw = a->books[d].most_mw = 0;
			account_settle(&a->books[d]);
			account_drop_held(&a->books[d]);
		}
	}
	a->t_ns = s->t_ns;
	a->n_cpu = s->n_cpu;
	a->missed_ticks += s->missed_ticks;
	enter_usages(a, s);
	for (size_t d = 0; d < a->n_domains; d++)
		a->books[d].fresh = account_enter_reading(a, s, d);
}
