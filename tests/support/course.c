// SPDX-License-Identifier: MIT
#include "course.h"

void course_make(struct course *c, struct rng *r, uint64_t from_ns, uint64_t to_ns,
	uint64_t shortest_ns, uint64_t longest_ns, uint64_t lowest, uint64_t highest)
{
	u128 sum = 0;

	c->n = 0;
	while (from_ns < to_ns && c->n < COURSE_MAX) {
		uint64_t ns = rng_between(r, shortest_ns, longest_ns);

		c->segments[c->n].from_ns = from_ns;
		c->segments[c->n].value = rng_between(r, lowest, highest);
		c->segments[c->n].before = sum;
		sum += (u128) c->segments[c->n].value * ns;
		c->n++;
		from_ns += ns;
	}
}

size_t course_segment(const struct course *c, uint64_t t_ns)
{
	size_t low = 0, high = c->n;

	while (high - low > 1) {
		size_t middle = (low + high) / 2;

		if (c->segments[middle].from_ns <= t_ns)
			low = middle;
		else
			high = middle;
	}
	return low;
}

u128 course_sum(const struct course *c, uint64_t t_ns)
{
	size_t i = course_segment(c, t_ns);

	return c->segments[i].before +
		(u128) c->segments[i].value * (t_ns - c->segments[i].from_ns);
}
