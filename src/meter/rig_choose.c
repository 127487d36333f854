// SPDX-License-Identifier: MIT
/*
 * Which sensors are opened: what moves, what is not slow, and nothing twice.
 */
#include "meter/rig_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meter/mirror.h"
#include "meter/motion.h"
#include "meter/readcost.h"

#define OPEN_TIMEOUT_NS (10 * NS_PER_S)

/* What a model may stand in for. */
#define MODELLED (KIND_BIT(KIND_CPU) | KIND_BIT(KIND_DRAM))

static uint32_t kinds_of(const struct sensor *s)
{
	uint32_t kinds = 0;

	for (size_t i = 0; i < s->n_domains; i++)
		if (s->domains[i].counted)
			kinds |= KIND_BIT(s->domains[i].kind);
	return kinds;
}

static struct rig_verdict *add_verdict(struct rig *rig, const struct sensor_ops *ops)
{
	struct rig_verdict *v = &rig->verdicts[rig->n_verdicts++];

	*v = (struct rig_verdict) { .ops = ops };
	return v;
}

static struct sensor *make_sensor(
	struct rig *rig, const struct sensor_ops *ops, const struct rig_options *o)
{
	struct sensor *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->ops = ops;
	s->host = rig->host;
	s->options = o->sensor;
	s->kinds = KIND_ALL;
	s->told = rig_kinds(rig);
	return s;
}

static void close_directly(struct sensor *s)
{
	if (!s)
		return;
	s->ops->close(s);
	free(s);
}

static int open_directly(struct sensor *s, struct rig_verdict *v)
{
	int r = s->ops->probe(s);

	if (r == 0)
		r = s->ops->open(s);
	v->why = s->why;
	if (r < 0)
		close_directly(s);
	return r;
}

/* Takes an opened sensor into the rig. */
static void adopt(struct rig *rig, struct sensor *s, struct poller *poller, struct rig_verdict *v)
{
	struct opened *opened = &rig->opened[rig->n_opened];

	if (rig->n_domains + s->n_domains > RIG_MAX_DOMAINS) {
		v->error = -E2BIG;
		snprintf(v->why.reason, sizeof(v->why.reason), "more than %d domains in all",
			RIG_MAX_DOMAINS);
		if (poller)
			poller_destroy(poller, 0);
		else
			close_directly(s);
		return;
	}
	*opened = (struct opened) {
		.sensor = s, .poller = poller, .first = rig->n_domains, .kinds = kinds_of(s)
	};
	for (size_t i = 0; i < s->n_domains; i++)
		rig->domains[rig->n_domains++] = &s->domains[i];
	v->error = 0;
	v->used = true;
	v->n_domains = s->n_domains;
	rig->n_opened++;
}

static void try_polled(struct rig *rig, const struct sensor_ops *ops, const struct rig_options *o,
	struct rig_verdict *v)
{
	struct sensor *s = make_sensor(rig, ops, o);
	struct poller *poller = NULL;

	v->error = -ENOMEM;
	if (s)
		v->error = poller_create(s,
			o->open_timeout_ns ? o->open_timeout_ns : OPEN_TIMEOUT_NS, &v->why,
			&poller);
	rig->abandoned |= v->error == -ETIME;
	if (v->error == 0)
		adopt(rig, s, poller, v);
}

/* Takes in an opened sensor that is read in ticks; one that is found to be too slow for that gets a
 * thread after all. The model is part of the tick: it lives on what that reads of the machine. */
static void adopt_direct(
	struct rig *rig, struct sensor *s, struct rig_verdict *v, const struct rig_options *o)
{
	const struct sensor_ops *ops = s->ops;

	if (o->no_threads || ops->role == SENSOR_MODEL ||
		sensor_readcost_ns(s) <= READCOST_MOST_NS) {
		sensor_count_mirrors_once(s);
		if (!v->why.reason[0])
			v->why = s->why;
		adopt(rig, s, NULL, v);
		return;
	}
	close_directly(s);
	try_polled(rig, ops, o, v);
}

/* Tries one backend; the outcome is its verdict. */
static void try_sensor(struct rig *rig, const struct sensor_ops *ops, const struct rig_options *o)
{
	struct rig_verdict *v = add_verdict(rig, ops);
	struct sensor *s;

	if (ops->polled) {
		try_polled(rig, ops, o, v);
		return;
	}
	s = make_sensor(rig, ops, o);
	v->error = s ? open_directly(s, v) : -ENOMEM;
	if (v->error == 0)
		adopt_direct(rig, s, v, o);
}

static void pass_over(struct rig *rig, const struct sensor_ops *ops, int error, const char *reason)
{
	struct rig_verdict *v = add_verdict(rig, ops);

	v->error = error;
	snprintf(v->why.reason, sizeof(v->why.reason), "%s", reason);
}

static bool was_tried(const struct rig *rig, const struct sensor_ops *ops)
{
	for (size_t i = 0; i < rig->n_verdicts; i++)
		if (rig->verdicts[i].ops == ops)
			return true;
	return false;
}

/* ---- other ways to the same counters ---------------------------------------------------- */

/* The backends to try, in their order. */
struct order {
	const struct sensor_ops *ops[RIG_MAX_SENSORS];
	size_t n;
	bool by_hand;
};

/* One that was opened, and how far its counters move. */
struct candidate {
	struct sensor *sensor; /* NULL: none yet */
	struct rig_verdict *verdict;
	enum motion motion;
};

static void say_same(struct rig_verdict *v, const struct sensor_ops *used)
{
	v->spare = true;
	if (v->error == 0)
		snprintf(v->why.reason, sizeof(v->why.reason), "not used: %s measures the same",
			used->name);
}

/* Whether it could be used is told all the same: it may be asked for by name. */
static void spare_one(struct rig *rig, const struct sensor_ops *ops, const struct rig_options *o,
	const struct sensor_ops *used)
{
	struct rig_verdict *v = add_verdict(rig, ops);
	struct sensor *s = make_sensor(rig, ops, o);

	if (s) {
		v->error = ops->probe(s);
		v->why = s->why;
	}
	free(s);
	say_same(v, used);
}

static struct candidate open_candidate(
	struct rig *rig, const struct sensor_ops *ops, const struct rig_options *o)
{
	struct candidate c = { .verdict = add_verdict(rig, ops) };
	struct sensor *s = make_sensor(rig, ops, o);

	c.verdict->error = s ? open_directly(s, c.verdict) : -ENOMEM;
	if (c.verdict->error < 0)
		return c;
	c.motion = sensor_motion(s);
	if (c.motion == MOTION_NONE) {
		snprintf(c.verdict->why.reason, sizeof(c.verdict->why.reason),
			"its counters stand still");
		if (ops->must_move) {
			c.verdict->error = -ENODATA;
			close_directly(s);
			return c;
		}
	}
	c.sensor = s;
	return c;
}

/* Of a group the first is used whose counters all move; else the one of which the most do. */
static void try_group(
	struct rig *rig, const char *group, const struct order *order, const struct rig_options *o)
{
	struct candidate best = { 0 };

	for (size_t i = 0; i < order->n; i++) {
		const struct sensor_ops *ops = order->ops[i];
		struct candidate c;

		if (!ops->group || strcmp(ops->group, group) != 0)
			continue;
		if (best.motion == MOTION_ALL) {
			spare_one(rig, ops, o, best.sensor->ops);
			continue;
		}
		c = open_candidate(rig, ops, o);
		if (!c.sensor)
			continue;
		if (best.sensor && c.motion <= best.motion) {
			say_same(c.verdict, best.sensor->ops);
			close_directly(c.sensor);
			continue;
		}
		if (best.sensor) {
			say_same(best.verdict, ops);
			close_directly(best.sensor);
		}
		best = c;
	}
	if (!best.sensor)
		return;
	for (size_t i = 0; i < rig->n_verdicts; i++)
		if (rig->verdicts[i].ops->group && &rig->verdicts[i] != best.verdict &&
			strcmp(rig->verdicts[i].ops->group, group) == 0)
			rig->verdicts[i].spare = true;
	adopt_direct(rig, best.sensor, best.verdict, o);
}

/* ---- the order -------------------------------------------------------------------------- */

static void try_in_order(struct rig *rig, const struct order *order, const struct rig_options *o)
{
	for (size_t i = 0; i < order->n; i++) {
		const struct sensor_ops *ops = order->ops[i];

		if (was_tried(rig, ops) || ops->role == SENSOR_MODEL)
			continue;
		if (ops->role == SENSOR_SIMULATED && !order->by_hand)
			pass_over(rig, ops, 0, "simulated: used only when it is named");
		else if (ops->group)
			try_group(rig, ops->group, order, o);
		else if (ops->polled && o->no_threads)
			pass_over(rig, ops, -EAGAIN,
				"needs polling: it is read in a thread of its own");
		else
			try_sensor(rig, ops, o);
	}
	/* The model comes last wherever it stands: it is there for what no hardware tells. */
	for (size_t i = 0; i < order->n; i++) {
		if (order->ops[i]->role != SENSOR_MODEL)
			continue;
		if ((rig_kinds(rig) & MODELLED) == MODELLED)
			pass_over(rig, order->ops[i], 0, "not needed: the hardware tells");
		else
			try_sensor(rig, order->ops[i], o);
	}
}

static bool is_in(const struct order *order, const struct sensor_ops *ops)
{
	for (size_t i = 0; i < order->n; i++)
		if (order->ops[i] == ops)
			return true;
	return false;
}

static int order_by_hand(struct order *order, const char *names, const char **ret_bad_name)
{
	order->by_hand = true;
	for (const char *at = names; *at; at += *at == ',') {
		size_t n = strcspn(at, ",");
		const struct sensor_ops *ops = NULL;
		char name[32];

		if (n < sizeof(name)) {
			memcpy(name, at, n);
			name[n] = '\0';
			ops = sensor_find(name);
		}
		if (!ops) {
			*ret_bad_name = at;
			return -EINVAL;
		}
		if (!is_in(order, ops))
			order->ops[order->n++] = ops;
		at += n;
	}
	return 0;
}

/* A machine has its CPUs, its memory and itself once: a second sensor of one of these kinds tells of
 * the same thing, and is shown only. GPUs it may have many, each with a sensor of its own; what is
 * simulated is as many as its script says. */
static void count_once(struct rig *rig)
{
	uint32_t once = KIND_BIT(KIND_CPU) | KIND_BIT(KIND_DRAM) | KIND_BIT(KIND_PLATFORM);
	uint32_t taken = 0;

	for (size_t n = 0; n < rig->n_opened; n++) {
		struct opened *opened = &rig->opened[n];
		struct sensor *s = opened->sensor;
		uint32_t told = s->ops->role == SENSOR_SIMULATED ? 0 : taken & once;

		for (size_t i = 0; i < s->n_domains; i++) {
			struct domain *d = &s->domains[i];

			opened->shown |= KIND_BIT(d->kind);
			d->twin = d->counted && (told & KIND_BIT(d->kind));
			if (d->twin)
				d->counted = false;
			/* But for RAPL's, which says so itself, it is the whole of what there is. */
			if (d->kind == KIND_PLATFORM && !d->covers &&
				s->ops->role == SENSOR_HARDWARE)
				d->covers = KIND_ALL & ~KIND_BIT(KIND_PLATFORM);
		}
		opened->kinds = kinds_of(s);
		if (s->ops->role != SENSOR_SIMULATED)
			taken |= opened->kinds;
	}
}

static void limit_used(struct rig *rig)
{
	size_t n_used = 0;

	for (size_t n = 0; n < rig->n_opened; n++) {
		struct sensor *s = rig->opened[n].sensor;

		for (size_t i = 0; i < s->n_domains; i++)
			if (s->domains[i].tells_users && ++n_used > METER_MAX_USED)
				s->domains[i].tells_users = false;
	}
}

int rig_open(
	struct rig **ret, struct host *h, const struct rig_options *o, const char **ret_bad_name)
{
	struct order order = { 0 };
	struct rig *rig;
	int r = 0;

	if (o->sensors)
		r = order_by_hand(&order, o->sensors, ret_bad_name);
	else
		for (const struct sensor_ops *const *ops = sensor_list;
			*ops && order.n < RIG_MAX_SENSORS; ops++)
			order.ops[order.n++] = *ops;
	if (r < 0)
		return r;
	rig = calloc(1, sizeof(*rig));
	if (!rig)
		return -ENOMEM;
	rig->host = h;
	try_in_order(rig, &order, o);
	for (const struct sensor_ops *const *ops = sensor_list; *ops; ops++)
		if (!is_in(&order, *ops) && (*ops)->role != SENSOR_SIMULATED)
			pass_over(rig, *ops, -ECANCELED, "not in the list of sensors to use");
	count_once(rig);
	limit_used(rig);
	*ret = rig;
	return 0;
}
