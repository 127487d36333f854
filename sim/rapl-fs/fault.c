// SPDX-License-Identifier: MIT
#include "fault.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

#define MAX_SECONDS 1e6

static const char *const kind_names[FAULT_KINDS] = { [FAULT_EIO] = "eio",
	[FAULT_STUCK] = "stuck",
	[FAULT_VANISH] = "vanish",
	[FAULT_JUMP] = "jump",
	[FAULT_SLOW] = "slow" };

static const struct {
	const char *name;
	int error;
} errors[] = { { "EIO", EIO }, { "ENODATA", ENODATA }, { "EAGAIN", EAGAIN }, { "EINTR", EINTR },
	{ "ENODEV", ENODEV }, { "EACCES", EACCES }, { "EPERM", EPERM } };

const char *fault_name(enum fault_kind kind)
{
	return kind_names[kind];
}

const char *fault_state_name(enum fault_state state)
{
	static const char *const names[] = { "pending", "active", "over" };

	return names[state];
}

/* ---- lines ------------------------------------------------------------------------------ */

static int refuse(struct world *w, const char *why, const char *what)
{
	snprintf(w->refused, sizeof(w->refused), "%s: '%s'", why, what);
	/* It is shown within a JSON string. */
	for (char *c = w->refused; *c; c++)
		if (*c < ' ' || *c > '~' || *c == '"' || *c == '\\')
			*c = '?';
	return -EINVAL;
}

static bool number(const char *text, double lowest, double highest, double *ret)
{
	char *end;

	*ret = strtod(text, &end);
	return end != text && *end == '\0' && *ret >= lowest && *ret <= highest;
}

static uint64_t to_ns(double seconds)
{
	return (uint64_t) llround(seconds * 1e9);
}

/* A number of joules in counts, modulo the register: negative ones go down. */
static uint64_t to_counts(const struct counter *c, double joules)
{
	return (uint64_t) (int64_t) llround(joules * ldexp(1, (int) c->esu)) & counter_mask(c);
}

static bool take_error(const char *name, int *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		if (strcmp(errors[i].name, name) == 0) {
			*ret = errors[i].error;
			return true;
		}
	}
	return false;
}

/* When it begins and ends. */
static bool take_time(
	const struct world *w, struct fault *f, const char *key, const char *value, uint64_t now_ns)
{
	double v;

	if (strcmp(key, "at") == 0 && number(value, 0, MAX_SECONDS, &v)) {
		f->at_ns = now_ns + to_ns(v);
		f->at_read = 0;
	} else if (strcmp(key, "read") == 0 && number(value, 1, 1e9, &v)) {
		f->at_ns = UINT64_MAX;
		f->at_read = w->zones[f->zone].reads + (uint64_t) v;
	} else if (strcmp(key, "for") == 0 && number(value, 0, MAX_SECONDS, &v)) {
		f->for_ns = to_ns(v);
	} else if (strcmp(key, "reads") == 0 && number(value, 1, 1e9, &v)) {
		f->for_reads = (uint64_t) v;
	} else {
		return false;
	}
	return true;
}

/* What it is, by its kind. */
static bool take_value(const struct world *w, struct fault *f, const char *key, const char *value)
{
	const struct counter *c = &w->zones[f->zone].counter;
	bool is_jump = f->kind == FAULT_JUMP, is_slow = f->kind == FAULT_SLOW;
	double v;

	if (f->kind == FAULT_EIO && strcmp(key, "error") == 0)
		return take_error(value, &f->error);
	if (is_jump && (strcmp(key, "to") == 0 || strcmp(key, "by") == 0)) {
		f->relative = *key == 'b';
		if (!number(value, -1e9, 1e9, &v))
			return false;
		f->counts = to_counts(c, v);
		return true;
	}
	if (is_slow && strcmp(key, "ms") == 0 && number(value, 0, 1e6, &v)) {
		f->slow_ns = to_ns(v / 1e3);
		return true;
	}
	if (is_slow && strcmp(key, "value") == 0) {
		f->late = strcmp(value, "late") == 0;
		return f->late || strcmp(value, "early") == 0;
	}
	return false;
}

static int add_to_zone(
	struct world *w, enum fault_kind kind, size_t zone, const char *values, uint64_t now_ns)
{
	struct fault f = { .kind = kind,
		.zone = zone,
		.at_ns = now_ns,
		.for_ns = UINT64_MAX,
		.error = EIO,
		.slow_ns = 50000000,
		.late = -1 };
	char text[256], *word, *rest = NULL;

	if (w->n_faults == FAULTS_MAX)
		return -ENOSPC;
	snprintf(text, sizeof(text), "%s", values);
	for (word = strtok_r(text, " \t\n", &rest); word; word = strtok_r(NULL, " \t\n", &rest)) {
		char *value = strchr(word, '=');

		if (!value)
			return refuse(w, "not KEY=VALUE", word);
		*value++ = '\0';
		if (!take_time(w, &f, word, value, now_ns) && !take_value(w, &f, word, value))
			return refuse(w, "not a value of this fault", word);
	}
	w->faults[w->n_faults++] = f;
	return 0;
}

/* Splits "ZONE REST". Returns the first zone, and one behind the last in ret_end; NO_ZONE. */
static size_t take_zones(struct world *w, const char *line, const char **ret_rest, size_t *ret_end)
{
	char name[64];
	size_t length, zone;

	line += strspn(line, " \t\n");
	length = strcspn(line, " \t\n");
	snprintf(name, sizeof(name), "%.*s", (int) length, line);
	*ret_rest = line + length;
	if (strcmp(name, "all") == 0) {
		*ret_end = w->n_zones;
		return 0;
	}
	zone = world_find_zone(w, name);
	*ret_end = zone + 1;
	if (zone == NO_ZONE)
		refuse(w, "no such zone", name);
	return zone;
}

int fault_add(struct world *w, enum fault_kind kind, const char *line, uint64_t now_ns)
{
	const char *rest;
	size_t end, zone = take_zones(w, line, &rest, &end), before = w->n_faults;
	int r = zone == NO_ZONE ? -EINVAL : 0;

	for (; r == 0 && zone < end; zone++)
		r = add_to_zone(w, kind, zone, rest, now_ns);
	if (r < 0)
		w->n_faults = before;
	else
		faults_advance(w, now_ns);
	return r;
}

/* ---- beginning and ending --------------------------------------------------------------- */

static bool is_within(const struct world *w, size_t zone, size_t whole)
{
	return zone == whole || w->zones[zone].parent == whole;
}

static void jump(struct world *w, struct fault *f, uint64_t t_ns)
{
	struct counter *c = &w->zones[f->zone].counter;
	uint64_t count = 0;

	if (!f->relative) {
		world_count(w, f->zone, t_ns, &count);
		f->counts = (f->counts - count) & counter_mask(c);
		f->relative = true;
	}
	if (f->for_ns == UINT64_MAX && f->for_reads == 0) {
		c->offset = (c->offset + f->counts) & counter_mask(c);
		f->state = FAULT_OVER;
		f->ended_ns = t_ns;
	}
}

static void begin(struct world *w, struct fault *f, uint64_t t_ns)
{
	f->state = FAULT_ACTIVE;
	f->began_ns = t_ns;
	/* The first read that it meets: the present one, or the next. */
	f->began_read = w->zones[f->zone].reads + (f->at_read == 0);
	if (f->kind == FAULT_STUCK)
		world_count(w, f->zone, t_ns, &f->frozen);
	if (f->kind == FAULT_JUMP)
		jump(w, f, t_ns);
	for (size_t i = 0; f->kind == FAULT_VANISH && i < w->n_zones; i++)
		if (is_within(w, i, f->zone))
			w->zones[i].generation++;
}

static void end(struct fault *f, uint64_t t_ns)
{
	f->state = FAULT_OVER;
	f->ended_ns = t_ns;
}

int fault_end(struct world *w, const char *line, bool vanish_alone, uint64_t now_ns)
{
	const char *rest;
	size_t last, zone = take_zones(w, line, &rest, &last);

	if (zone == NO_ZONE)
		return -EINVAL;
	faults_advance(w, now_ns);
	for (size_t i = 0; i < w->n_faults; i++) {
		struct fault *f = &w->faults[i];

		if (f->zone >= zone && f->zone < last && f->state != FAULT_OVER &&
			(!vanish_alone || f->kind == FAULT_VANISH))
			end(f, now_ns);
	}
	return 0;
}

void faults_advance(struct world *w, uint64_t now_ns)
{
	for (size_t i = 0; i < w->n_faults; i++) {
		struct fault *f = &w->faults[i];

		if (f->state == FAULT_PENDING && f->at_read == 0 && f->at_ns <= now_ns)
			begin(w, f, f->at_ns);
		if (f->state == FAULT_ACTIVE && f->for_reads == 0 && f->for_ns != UINT64_MAX &&
			f->began_ns + f->for_ns <= now_ns)
			end(f, f->began_ns + f->for_ns);
	}
}

void faults_count_read(struct world *w, size_t zone, uint64_t now_ns)
{
	uint64_t n = ++w->zones[zone].reads;

	for (size_t i = 0; i < w->n_faults; i++) {
		struct fault *f = &w->faults[i];

		if (f->zone != zone)
			continue;
		if (f->state == FAULT_ACTIVE && f->for_reads > 0 &&
			n >= f->began_read + f->for_reads)
			end(f, now_ns);
		if (f->state == FAULT_PENDING && f->at_read > 0 && n >= f->at_read)
			begin(w, f, now_ns);
	}
}

void fault_effect(const struct world *w, size_t zone, struct effect *ret)
{
	*ret = (struct effect) { .generation = w->zones[zone].generation, .late = -1 };
	for (size_t i = 0; i < w->n_faults; i++) {
		const struct fault *f = &w->faults[i];

		if (f->state != FAULT_ACTIVE)
			continue;
		if (f->kind == FAULT_VANISH && is_within(w, zone, f->zone))
			ret->vanished = true;
		if (f->zone != zone)
			continue;
		if (f->kind == FAULT_EIO)
			ret->error = f->error;
		if (f->kind == FAULT_JUMP)
			ret->shift += f->counts;
		if (f->kind == FAULT_STUCK) {
			ret->stuck = true;
			ret->frozen = f->frozen;
		}
		if (f->kind == FAULT_SLOW) {
			ret->slow_ns = f->slow_ns;
			ret->late = f->late;
		}
	}
}
