// SPDX-License-Identifier: MIT
#include "meter/motion.h"

#include <time.h>

#include "meter/pulse.h"

/* Where a counter moves a thousand times a second, its steps may still be coarser than that while
 * the machine is idle. */
#define LEAST_NS (100 * NS_PER_MS)
/* A virtual machine's stand still as a rule, and each start of the program would wait for that. Where
 * they are passed on, they are those of a machine that others keep busy. */
#define LEAST_VIRTUAL_NS (20 * NS_PER_MS)
#define MOST_NS NS_PER_S
#define LOOK_EVERY_NS NS_PER_MS
/* The first looks are closer, to see how far two updates of a fast counter are apart; of a slow one that
 * is not waited for. */
#define LOOK_FAST_NS (NS_PER_MS / 4)
#define LEARN_NS (4 * NS_PER_MS)

static bool must_move(const struct domain *d)
{
	return domain_adds_to(d, KIND_CPU);
}

/* How long to look at most. */
static uint64_t patience_ns(const struct sensor *s)
{
	uint64_t ns = s->host->cpu.hypervisor ? LEAST_VIRTUAL_NS : LEAST_NS;

	for (size_t i = 0; i < s->n_domains; i++)
		if (3 * s->domains[i].update_ns > ns)
			ns = 3 * s->domains[i].update_ns;
	return ns < MOST_NS ? ns : MOST_NS;
}

static enum motion judge(const struct sensor *s, const bool *moved)
{
	size_t n_must = 0, n_do = 0, n_moved = 0;

	for (size_t i = 0; i < s->n_domains; i++) {
		n_must += must_move(&s->domains[i]);
		n_do += must_move(&s->domains[i]) && moved[i];
		n_moved += moved[i];
	}
	if (n_must == 0)
		return n_moved > 0 ? MOTION_ALL : MOTION_NONE;
	return n_do == n_must ? MOTION_ALL : n_do > 0 ? MOTION_SOME : MOTION_NONE;
}

/* The copies of a machine are two: more looks would show the same. */
static enum motion captured_motion(struct sensor *s)
{
	struct reading first[SENSOR_MAX_DOMAINS], later[SENSOR_MAX_DOMAINS];
	bool moved[SENSOR_MAX_DOMAINS] = { false };
	int r;

	s->kinds = KIND_ALL;
	r = s->ops->read(s, first);
	host_turn(s->host, true);
	if (r == 0)
		r = s->ops->read(s, later);
	host_turn(s->host, false);
	for (size_t i = 0; r == 0 && i < s->n_domains; i++)
		moved[i] = !first[i].error && !later[i].error && first[i].raw != later[i].raw;
	return judge(s, moved);
}

/* What was seen of one domain. */
struct look {
	bool known;
	uint64_t first;
	struct pulse pulse;
};

/* Whether how often its value is updated was seen of each domain that moved and learns it. */
static bool all_learned(const struct sensor *s, const struct look *looks, const bool *moved)
{
	for (size_t i = 0; i < s->n_domains; i++)
		if (moved[i] && s->domains[i].learns_pace && !looks[i].pulse.apart_ns)
			return false;
	return true;
}

static void look(struct sensor *s, struct look *looks, bool *moved)
{
	struct reading now[SENSOR_MAX_DOMAINS];

	s->kinds = KIND_ALL;
	if (s->ops->read(s, now) < 0)
		return;
	for (size_t i = 0; i < s->n_domains; i++) {
		if (now[i].error)
			continue;
		moved[i] |= looks[i].known && now[i].raw != looks[i].first;
		if (!looks[i].known)
			looks[i].first = now[i].raw;
		looks[i].known = true;
		pulse_step(&looks[i].pulse, &s->domains[i], &now[i]);
	}
}

enum motion sensor_motion(struct sensor *s)
{
	struct look looks[SENSOR_MAX_DOMAINS] = { 0 };
	bool moved[SENSOR_MAX_DOMAINS] = { false };
	enum motion motion = MOTION_NONE;
	uint64_t extra_ns = 0;

	if (s->host->captured)
		return captured_motion(s);
	/* Looks are counted, not timed: the host's clock may be one that stands still. */
	for (uint64_t ns = 0; ns <= patience_ns(s) && extra_ns <= LEARN_NS;) {
		const struct timespec pause = { .tv_nsec = ns < LEARN_NS ? (long) LOOK_FAST_NS
									 : (long) LOOK_EVERY_NS };

		look(s, looks, moved);
		motion = judge(s, moved);
		if (motion == MOTION_ALL && all_learned(s, looks, moved))
			break;
		if (motion == MOTION_ALL)
			extra_ns += (uint64_t) pause.tv_nsec;
		nanosleep(&pause, NULL);
		ns += (uint64_t) pause.tv_nsec;
	}
	for (size_t i = 0; i < s->n_domains; i++)
		s->domains[i].late_ns = looks[i].pulse.apart_ns;
	return motion;
}
