// SPDX-License-Identifier: MIT
#include "world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PJ_PER_J UINT64_C(1000000000000)

uint64_t world_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t) ts.tv_sec * UINT64_C(1000000000) + (uint64_t) ts.tv_nsec;
}

/* splitmix64's mixing function. */
static uint64_t mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

uint64_t world_random(const struct world *w, uint64_t stream, uint64_t n)
{
	return mix(mix(mix(w->seed) ^ stream) ^ n);
}

void world_begin(struct world *w, uint64_t now_ns)
{
	pthread_mutex_init(&w->lock, NULL);
	w->mounted_ns = now_ns;
	for (size_t i = 0; i < w->n_zones; i++) {
		struct counter *c = &w->zones[i].counter;

		c->phase_ns = c->update_ns ? world_random(w, i, UINT64_MAX) % c->update_ns : 0;
	}
}

void world_finish(struct world *w)
{
	for (size_t i = 0; i < w->n_zones; i++)
		curve_finish(&w->zones[i].curve);
	loads_destroy(w->loads);
	pthread_mutex_destroy(&w->lock);
}

size_t world_find_zone(const struct world *w, const char *dir)
{
	for (size_t i = 0; i < w->n_zones; i++)
		if (strcmp(w->zones[i].dir, dir) == 0)
			return i;
	return NO_ZONE;
}

int world_energy_pj(struct world *w, size_t zone, uint64_t t_ns, u128 *ret)
{
	const struct zone *z = &w->zones[zone];
	u128 sum = curve_energy_pj(&z->curve, t_ns), part;
	int r;

	if (z->package != NO_PACKAGE) {
		uint64_t pj;

		r = loads_energy_pj(w->loads, z->package, z->load_part, t_ns, &pj);
		if (r < 0)
			return r;
		sum += pj;
	}
	for (size_t i = 0; i < z->n_terms; i++) {
		r = world_energy_pj(w, z->terms[i].zone, t_ns, &part);
		if (r < 0)
			return r;
		sum += part * z->terms[i].ppm / 1000000;
	}
	*ret = sum;
	return 0;
}

/* When update k of a counter comes. Jitter is less than half a period: updates keep their order. */
static uint64_t update_at_ns(const struct world *w, size_t zone, uint64_t k)
{
	const struct counter *c = &w->zones[zone].counter;
	uint64_t jitter_ns = c->jitter_ns ? world_random(w, zone, k) % (2 * c->jitter_ns + 1) : 0;

	return c->phase_ns + k * c->update_ns + jitter_ns - c->jitter_ns;
}

/* The time of the last update at or before t_ns; 0 where there was none. */
static uint64_t last_update_ns(const struct world *w, size_t zone, uint64_t t_ns)
{
	const struct counter *c = &w->zones[zone].counter;
	uint64_t k;

	if (c->update_ns == 0)
		return t_ns;
	for (k = t_ns / c->update_ns + 1; k > 0; k--) {
		uint64_t at_ns = update_at_ns(w, zone, k);

		if (at_ns <= t_ns)
			return at_ns;
	}
	return 0;
}

static int count_since_0(struct world *w, size_t zone, uint64_t t_ns, u128 *ret)
{
	u128 pj;
	int r = world_energy_pj(w, zone, last_update_ns(w, zone, t_ns), &pj);

	if (r == 0)
		*ret = (pj << w->zones[zone].counter.esu) / PJ_PER_J;
	return r;
}

int world_count(struct world *w, size_t zone, uint64_t t_ns, uint64_t *ret)
{
	const struct counter *c = &w->zones[zone].counter;
	u128 now = 0, then = 0;
	int r;

	if (w->zones[zone].mirror != NO_ZONE)
		return world_count(w, w->zones[zone].mirror, t_ns, ret);
	r = count_since_0(w, zone, t_ns, &now);

	if (r == 0)
		r = count_since_0(w, zone, w->mounted_ns, &then);
	if (r == 0)
		*ret = ((uint64_t) (now - then) + c->start + c->offset) & counter_mask(c);
	return r;
}

uint64_t counter_shown_uj(const struct counter *c, uint64_t count)
{
	return muldiv_u64(count, c->shown_nj, 1000);
}
