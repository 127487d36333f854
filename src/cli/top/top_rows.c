// SPDX-License-Identifier: MIT
#include "cli/top/top_rows.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util/cleanup.h"

#define USERS 256

const char *const top_sort_names[TOP_SORTS + 1] = { "watts", "cpu", "joules", "pid", "user", "name",
	NULL };

const char *top_user(uid_t uid)
{
	static struct {
		bool known;
		uid_t uid;
		char name[33];
	} users[USERS];
	static size_t next;
	const struct passwd *entry;
	size_t i;

	for (i = 0; i < USERS; i++)
		if (users[i].known && users[i].uid == uid)
			return users[i].name;
	i = next++ % USERS;
	entry = getpwuid(uid);
	if (entry)
		snprintf(users[i].name, sizeof(users[i].name), "%s", entry->pw_name);
	else
		snprintf(users[i].name, sizeof(users[i].name), "%u", (unsigned) uid);
	users[i].known = true;
	users[i].uid = uid;
	return users[i].name;
}

bool top_has_text(const char *text, const char *part)
{
	size_t n = strlen(part);

	for (; strlen(text) >= n; text++)
		if (strncasecmp(text, part, n) == 0)
			return true;
	return false;
}

static int by_number(uint64_t a, uint64_t b)
{
	return a < b ? 1 : a > b ? -1 : 0;
}

struct sorting {
	const struct top_model *model;
	const struct top_order *order;
};

/* The most first; names and pids in their order. */
static int compare(const void *a, const void *b, void *ctx)
{
	const struct sorting *s = ctx;
	uint32_t i = *(const uint32_t *) a, k = *(const uint32_t *) b;
	const struct top_process *x = &s->model->processes.list[i];
	const struct top_process *y = &s->model->processes.list[k];
	int r = 0;

	switch (s->order->sort) {
	case TOP_BY_WATTS:
		r = by_number(s->model->slot_uw[i], s->model->slot_uw[k]);
		break;
	case TOP_BY_JOULES:
		r = by_number(x->total_uj, y->total_uj);
		break;
	case TOP_BY_USER:
		r = strcmp(top_user(x->uid), top_user(y->uid));
		break;
	case TOP_BY_NAME:
		r = strcasecmp(x->name, y->name);
		break;
	case TOP_BY_PID:
	case TOP_BY_CPU:
	case TOP_SORTS:
		break;
	}
	if (r == 0 && s->order->sort != TOP_BY_PID)
		r = by_number(x->busy_ppm, y->busy_ppm);
	if (r == 0)
		r = by_number((uint64_t) y->pid, (uint64_t) x->pid);
	return s->order->inverted ? -r : r;
}

static bool is_shown(const struct top_process *p, const struct top_order *order)
{
	return p->pid && (!order->pid || p->pid == order->pid) &&
		(!order->filter[0] || top_has_text(p->name, order->filter)) &&
		(!order->user[0] ||
			strncmp(top_user(p->uid), order->user, strlen(order->user)) == 0);
}

int top_rows_make(struct top_rows *r, const struct top_model *m, const struct top_order *order)
{
	struct sorting sorting = { .model = m, .order = order };

	if (r->cap < m->processes.n_slots) {
		uint32_t *slots = realloc(r->slots, m->processes.n_slots * sizeof(*slots));

		if (!slots)
			return -ENOMEM;
		r->slots = slots;
		r->cap = m->processes.n_slots;
	}
	r->n = 0;
	for (uint32_t slot = 0; slot < m->processes.n_slots; slot++)
		if (slot != m->tool && is_shown(&m->processes.list[slot], order))
			r->slots[r->n++] = slot;
	if (r->n > 1)
		qsort_r(r->slots, r->n, sizeof(*r->slots), compare, &sorting);
	return 0;
}

void top_rows_finish(struct top_rows *r)
{
	free(r->slots);
	*r = (struct top_rows) { 0 };
}
