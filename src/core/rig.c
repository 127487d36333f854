// SPDX-License-Identifier: MIT
#include "core/rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/poller.h"
#include "core/unwrap.h"

#define OPEN_TIMEOUT_NS (10 * NS_PER_S)

struct opened {
	struct sensor *sensor;
	struct poller *poller; /* NULL: read in the tick */
	size_t first;          /* its domains are first .. first + n_domains */
	uint32_t kinds;        /* of its domains */
};

struct rig {
	struct host *host;
	struct opened opened[RIG_MAX_SENSORS];
	size_t n_opened;
	struct rig_verdict verdicts[RIG_MAX_SENSORS];
	size_t n_verdicts;
	const struct domain *domains[RIG_MAX_DOMAINS];
	struct unwrap unwraps[RIG_MAX_DOMAINS];
	size_t n_domains;
	uint32_t wanted;
	bool abandoned; /* a driver did not answer: its thread may still be there */
};

static uint32_t kinds_of(const struct sensor *s)
{
	uint32_t kinds = 0;

	for (size_t i = 0; i < s->n_domains; i++)
		if (s->domains[i].counted)
			kinds |= KIND_BIT(s->domains[i].kind);
	return kinds;
}

static int open_directly(struct sensor *s, struct rig_verdict *v)
{
	int r = s->ops->probe(s);

	if (r == 0)
		r = s->ops->open(s);
	v->why = s->why;
	if (r < 0) {
		s->ops->close(s);
		free(s);
	}
	return r;
}

/* Tries one backend; the outcome is its verdict. */
static void try_sensor(struct rig *rig, const struct sensor_ops *ops, const struct rig_options *o)
{
	struct rig_verdict *v = &rig->verdicts[rig->n_verdicts++];
	struct opened *opened = &rig->opened[rig->n_opened];
	struct sensor *s = calloc(1, sizeof(*s));
	int r;

	*v = (struct rig_verdict) { .ops = ops };
	if (!s) {
		v->error = -ENOMEM;
		return;
	}
	*opened = (struct opened) { .first = rig->n_domains };
	s->ops = ops;
	s->host = rig->host;
	s->options = o->sensor;
	s->kinds = KIND_ALL;
	if (ops->polled)
		r = poller_create(s, o->open_timeout_ns ? o->open_timeout_ns : OPEN_TIMEOUT_NS,
			&v->why, &opened->poller);
	else
		r = open_directly(s, v);
	v->error = r;
	rig->abandoned |= ops->polled && r == -ETIME;
	if (r < 0)
		return;
	if (rig->n_domains + s->n_domains > RIG_MAX_DOMAINS) {
		v->error = -E2BIG;
		snprintf(v->why.reason, sizeof(v->why.reason), "more than %d domains in all",
			RIG_MAX_DOMAINS);
		if (opened->poller) {
			poller_destroy(opened->poller, 0);
		} else {
			ops->close(s);
			free(s);
		}
		return;
	}
	opened->sensor = s;
	opened->kinds = kinds_of(s);
	for (size_t i = 0; i < s->n_domains; i++)
		rig->domains[rig->n_domains++] = &s->domains[i];
	v->used = true;
	v->n_domains = s->n_domains;
	rig->n_opened++;
}

static void pass_over(struct rig *rig, const struct sensor_ops *ops, int error, const char *reason)
{
	struct rig_verdict *v = &rig->verdicts[rig->n_verdicts++];

	*v = (struct rig_verdict) { .ops = ops, .error = error };
	snprintf(v->why.reason, sizeof(v->why.reason), "%s", reason);
}

static void try_in_order(struct rig *rig, const struct sensor_ops *ops, const struct rig_options *o)
{
	if (ops->role == SENSOR_MODEL && (rig_kinds(rig) & KIND_BIT(KIND_CPU)))
		pass_over(rig, ops, 0, "not needed: the hardware tells");
	else if (ops->polled && o->no_threads)
		pass_over(rig, ops, -EAGAIN, "needs polling: it is read in a thread of its own");
	else
		try_sensor(rig, ops, o);
}

static bool was_tried(const struct rig *rig, const struct sensor_ops *ops)
{
	for (size_t i = 0; i < rig->n_verdicts; i++)
		if (rig->verdicts[i].ops == ops)
			return true;
	return false;
}

/* One pass over the list for the backends of a role or of all but that role: the model comes
 * last wherever it stands, since it is there for what the hardware does not tell. */
static int try_listed(
	struct rig *rig, const struct rig_options *o, bool model, const char **ret_bad_name)
{
	for (const char *at = o->sensors; *at; at += *at == ',') {
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
		if ((ops->role == SENSOR_MODEL) == model && !was_tried(rig, ops))
			try_in_order(rig, ops, o);
		at += n;
	}
	return 0;
}

static void pass_over_unlisted(struct rig *rig)
{
	for (const struct sensor_ops *const *ops = sensor_list; *ops; ops++)
		if ((*ops)->role != SENSOR_SIMULATED && !was_tried(rig, *ops))
			pass_over(rig, *ops, -ECANCELED, "not in the list of sensors to use");
}

int rig_open(
	struct rig **ret, struct host *h, const struct rig_options *o, const char **ret_bad_name)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	int r;

	if (!rig)
		return -ENOMEM;
	rig->host = h;
	if (o->sensors) {
		r = try_listed(rig, o, false, ret_bad_name);
		if (r == 0)
			r = try_listed(rig, o, true, ret_bad_name);
		if (r < 0) {
			rig_close(rig, 0);
			return r;
		}
		pass_over_unlisted(rig);
	} else {
		for (const struct sensor_ops *const *ops = sensor_list; *ops; ops++) {
			if ((*ops)->role == SENSOR_SIMULATED)
				pass_over(rig, *ops, 0, "simulated: used only when it is named");
			else
				try_in_order(rig, *ops, o);
		}
	}
	*ret = rig;
	return 0;
}

size_t rig_n_domains(const struct rig *rig)
{
	return rig->n_domains;
}

const struct domain *rig_domain(const struct rig *rig, size_t i)
{
	return rig->domains[i];
}

int rig_parent(const struct rig *rig, size_t i)
{
	int parent = rig->domains[i]->parent;

	if (parent < 0)
		return -1;
	for (size_t k = 0; k < rig->n_opened; k++)
		if (i >= rig->opened[k].first &&
			i < rig->opened[k].first + rig->opened[k].sensor->n_domains)
			return (int) rig->opened[k].first + parent;
	return -1;
}

size_t rig_n_verdicts(const struct rig *rig)
{
	return rig->n_verdicts;
}

const struct rig_verdict *rig_verdict(const struct rig *rig, size_t i)
{
	return &rig->verdicts[i];
}

uint32_t rig_kinds(const struct rig *rig)
{
	uint32_t kinds = 0;

	for (size_t i = 0; i < rig->n_opened; i++)
		kinds |= rig->opened[i].kinds;
	return kinds;
}

void rig_want(struct rig *rig, uint32_t kinds)
{
	for (size_t i = 0; i < rig->n_domains; i++)
		if (!(rig->wanted & kinds & KIND_BIT(rig->domains[i]->kind)))
			unwrap_restart(&rig->unwraps[i]);
	for (size_t i = 0; i < rig->n_opened; i++)
		if (rig->opened[i].poller)
			poller_want(rig->opened[i].poller, kinds & rig->opened[i].kinds);
	rig->wanted = kinds;
}

void rig_read(struct rig *rig, uint32_t kinds, struct reading *ret)
{
	for (size_t i = 0; i < rig->n_opened; i++) {
		struct opened *opened = &rig->opened[i];
		struct sensor *s = opened->sensor;
		struct reading *mine = ret + opened->first;
		int r = -EAGAIN;

		if (!(kinds & opened->kinds)) {
			/* nothing of it is asked for */
		} else if (opened->poller) {
			poller_copy(opened->poller, host_now_ns(rig->host), mine);
			continue;
		} else {
			s->kinds = kinds;
			r = s->ops->read(s, mine);
		}
		for (size_t k = 0; k < s->n_domains; k++) {
			if (r < 0)
				mine[k] = (struct reading) { .error = r };
			else
				unwrap_step(
					&rig->unwraps[opened->first + k], &s->domains[k], &mine[k]);
		}
	}
}

bool rig_close(struct rig *rig, uint64_t timeout_ns)
{
	bool all = true;

	if (!rig)
		return true;
	all = !rig->abandoned;
	for (size_t i = 0; i < rig->n_opened; i++) {
		struct opened *opened = &rig->opened[i];

		if (opened->poller) {
			all &= poller_destroy(opened->poller, timeout_ns);
		} else {
			opened->sensor->ops->close(opened->sensor);
			free(opened->sensor);
		}
	}
	free(rig);
	return all;
}
