// SPDX-License-Identifier: MIT
#include "meter/mirror.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Equal at this many changes in a row, two counters are one. */
#define EQUAL_CHANGES 3

#define LOOK_EVERY_NS (2 * NS_PER_MS)

/* A counter that has not changed for this long is not waited for. In a virtual machine they may be updated
 * once a second; a polled sensor reads its files at its own pace. */
#define STILL_NS (100 * NS_PER_MS)
#define STILL_VIRTUAL_NS (1500 * NS_PER_MS)
#define STILL_PERIODS 3

#define MOST_NS (8 * NS_PER_S)

/* What is known of domain i: like which earlier one it is. */
struct suspect {
	int like; /* -1: like none */
	unsigned n_equal;
};

struct looks {
	struct reading now[SENSOR_MAX_DOMAINS];
	uint64_t raw[SENSOR_MAX_DOMAINS]; /* at the look before */
	struct suspect suspects[SENSOR_MAX_DOMAINS];
};

static bool is_comparable(const struct domain *a, const struct domain *b)
{
	return a->counted && b->counted && !a->power_only && !b->power_only && a->kind == b->kind &&
		a->unit_num == b->unit_num && a->unit_den == b->unit_den;
}

/* Counters that never counted are all at 0. */
static bool are_equal(const struct reading *a, const struct reading *b)
{
	return !a->error && !b->error && a->raw == b->raw && a->raw != 0;
}

static int find_like(const struct sensor *s, const struct reading *now, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (is_comparable(&s->domains[k], &s->domains[i]) && are_equal(&now[k], &now[i]))
			return (int) k;
	return -1;
}

static bool has_comparable(const struct sensor *s)
{
	for (size_t i = 0; i < s->n_domains; i++)
		for (size_t k = 0; k < i; k++)
			if (is_comparable(&s->domains[k], &s->domains[i]))
				return true;
	return false;
}

/* Takes the first look. Returns whether there is anything to wait for. */
static bool begin(struct sensor *s, struct looks *l)
{
	bool any = false;

	s->kinds = KIND_ALL;
	if (s->ops->read(s, l->now) < 0)
		return false;
	for (size_t i = 0; i < s->n_domains; i++) {
		l->suspects[i] = (struct suspect) { .like = find_like(s, l->now, i) };
		l->raw[i] = l->now[i].raw;
		any |= l->suspects[i].like >= 0;
	}
	return any;
}

/* Takes another look. *ret_changed: a suspect's counter changed. Returns whether all is known. */
static bool look_again(struct sensor *s, struct looks *l, bool *ret_changed)
{
	bool settled = true;

	*ret_changed = false;
	s->kinds = KIND_ALL;
	if (s->ops->read(s, l->now) < 0)
		return false;
	for (size_t i = 0; i < s->n_domains; i++) {
		struct suspect *one = &l->suspects[i];

		if (one->like < 0 || l->now[i].error || one->n_equal == EQUAL_CHANGES)
			continue;
		settled = false;
		if (l->now[i].raw == l->raw[i])
			continue;
		*ret_changed = true;
		l->raw[i] = l->now[i].raw;
		/* A counter may be updated between the two reads. */
		one->n_equal = are_equal(&l->now[one->like], &l->now[i]) ? one->n_equal + 1 : 0;
	}
	return settled;
}

static uint64_t still_ns(const struct sensor *s)
{
	uint64_t ns = s->host->cpu.hypervisor ? STILL_VIRTUAL_NS : STILL_NS;

	return s->period_ns * STILL_PERIODS > ns ? s->period_ns * STILL_PERIODS : ns;
}

static void leave_out(struct sensor *s, size_t i, size_t like)
{
	struct domain *d = &s->domains[i];

	d->counted = false;
	snprintf(d->scope, sizeof(d->scope), "the same counter as %.40s", s->domains[like].name);
	if (s->why.reason[0] == '\0')
		sensor_refuse(s, 0, NULL, "%s shows the same counter as %s: counted once", d->name,
			s->domains[like].name);
}

void sensor_count_mirrors_once(struct sensor *s)
{
	static const struct timespec pause = { .tv_nsec = (long) LOOK_EVERY_NS };
	struct looks l;
	uint64_t unchanged_ns = 0;

	if (s->ops->role != SENSOR_HARDWARE || s->host->captured || !has_comparable(s) ||
		!begin(s, &l))
		return;
	/* Looks are counted, not timed: the host's clock may be one that stands still. */
	for (uint64_t ns = 0; ns < MOST_NS && unchanged_ns < still_ns(s); ns += LOOK_EVERY_NS) {
		bool changed;

		nanosleep(&pause, NULL);
		if (look_again(s, &l, &changed))
			break;
		unchanged_ns = changed ? 0 : unchanged_ns + LOOK_EVERY_NS;
	}
	for (size_t i = 0; i < s->n_domains; i++)
		if (l.suspects[i].like >= 0 && l.suspects[i].n_equal == EQUAL_CHANGES)
			leave_out(s, i, (size_t) l.suspects[i].like);
}
