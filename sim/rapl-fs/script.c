// SPDX-License-Identifier: MIT
#include "script.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"

#define MAX_UPDATE_MS 1e6

/* What zones have if they do not say otherwise. */
struct defaults {
	double update_ms, jitter_us;
	const char *mode;
};

struct loader {
	struct world *w;
	struct defaults defaults;
	char *error;
	size_t n;
};

__attribute__((format(printf, 2, 3))) static int refuse(struct loader *l, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(l->error, l->n, format, args);
	va_end(args);
	return -EINVAL;
}

/* ---- parts of a zone -------------------------------------------------------------------- */

static int load_terms(struct loader *l, struct zone *z, json_t *sum)
{
	const char *dir;
	json_t *factor;

	json_object_foreach(sum, dir, factor)
	{
		size_t of = world_find_zone(l->w, dir);
		double value = json_number_value(factor);

		if (of == NO_ZONE || z->n_terms == TERMS_MAX || !(value >= 0 && value <= 1000))
			return refuse(l,
				"%s: sum: '%s' is not a zone before it, or its factor is not "
				"one",
				z->dir, dir);
		z->terms[z->n_terms++] = (struct term) { .zone = of,
			.ppm = (uint64_t) llround(value * 1e6) };
	}
	return 0;
}

/* Such a zone's energy is the other's, as its register is. */
static int load_mirror(struct loader *l, struct zone *z, const char *dir)
{
	z->mirror = world_find_zone(l->w, dir);
	if (z->mirror == NO_ZONE)
		return refuse(l, "%s: mirror: '%s' is not a zone before it", z->dir, dir);
	z->terms[z->n_terms++] = (struct term) { .zone = z->mirror, .ppm = 1000000 };
	return 0;
}

static int load_loads(struct loader *l, struct zone *z, json_t *loads)
{
	char why[120];
	int r;

	if (json_is_string(loads)) {
		if (strcmp(json_string_value(loads), "dynamic") != 0 || z->parent == NO_ZONE ||
			l->w->zones[z->parent].package == NO_PACKAGE)
			return refuse(l, "%s: loads: not 'dynamic' of a zone with loads", z->dir);
		z->package = l->w->zones[z->parent].package;
		z->load_part = LOAD_DYNAMIC;
		return 0;
	}
	if (!l->w->loads && loads_create(&l->w->loads) < 0)
		return refuse(l, "out of memory");
	r = loads_add_package(l->w->loads, loads, why, sizeof(why), &z->package);
	return r < 0 ? refuse(l, "%s: %s", z->dir, r == -EINVAL ? why : strerror(-r)) : 0;
}

static int load_limit(struct loader *l, struct zone *z, json_t *json)
{
	struct limit *limit = &z->limits[z->n_limits];
	const char *name;
	double watts, max_watts = -1, window_s = 1;
	json_error_t e;

	if (z->n_limits == LIMITS_MAX)
		return refuse(l, "%s: more than %d limits", z->dir, LIMITS_MAX);
	if (json_unpack_ex(json, &e, JSON_STRICT, "{s:s, s:F, s?F, s?F}", "name", &name, "watts",
		    &watts, "max_watts", &max_watts, "window_s", &window_s) < 0)
		return refuse(l, "%s: limits: %s", z->dir, e.text);
	snprintf(limit->name, sizeof(limit->name), "%s", name);
	limit->power_uw = (uint64_t) llround(watts * 1e6);
	limit->max_uw = (uint64_t) llround((max_watts < 0 ? watts : max_watts) * 1e6);
	limit->window_us = (uint64_t) llround(window_s * 1e6);
	z->n_limits++;
	return 0;
}

/* A package's driver always shows two limits. */
static void add_usual_limits(struct zone *z)
{
	uint64_t uw = curve_max_mw(&z->curve) * 1000;

	if (z->parent != NO_ZONE || z->n_limits > 0 || uw == 0)
		return;
	z->limits[0] = (struct limit) {
		.name = "long_term", .power_uw = uw, .max_uw = uw, .window_us = 27983872
	};
	z->limits[1] = (struct limit) {
		.name = "short_term", .power_uw = uw + uw / 4, .max_uw = 0, .window_us = 2440
	};
	z->n_limits = 2;
}

static int load_counter(struct loader *l, struct zone *z, int esu, int bits, json_t *shown_nj,
	json_t *start, double update_ms, double jitter_us)
{
	struct counter *c = &z->counter;
	uint64_t random = world_random(l->w, l->w->n_zones, UINT64_MAX - 1);

	if (esu < 0 || esu > 20 || bits < 8 || bits > 48)
		return refuse(l, "%s: esu is 0 to 20, bits 8 to 48", z->dir);
	if (!(update_ms >= 0 && update_ms <= MAX_UPDATE_MS) ||
		!(jitter_us >= 0 && jitter_us * 2 < update_ms * 1000 + 1e-9))
		return refuse(l,
			"%s: update_ms out of range, or jitter_us is not less than its half",
			z->dir);
	*c = (struct counter) { .esu = (unsigned) esu,
		.bits = (unsigned) bits,
		.shown_nj = shown_nj ? (uint64_t) json_integer_value(shown_nj)
				     : UINT64_C(1000000000) >> esu,
		.update_ns = (uint64_t) llround(update_ms * 1e6),
		.jitter_ns = (uint64_t) llround(jitter_us * 1e3) };
	if (c->shown_nj == 0)
		return refuse(l, "%s: shown_nj is not a number of nanojoules", z->dir);
	c->start = (start ? (uint64_t) json_integer_value(start) : random) & counter_mask(c);
	return 0;
}

/* ---- zones ------------------------------------------------------------------------------ */

static unsigned n_siblings(const struct world *w, const char *control, size_t parent)
{
	unsigned n = 0;

	for (size_t i = 0; i < w->n_zones; i++)
		n += w->zones[i].parent == parent && strcmp(w->zones[i].control, control) == 0;
	return n;
}

/* A zone's directory is numbered in hexadecimal, as the kernel does. */
static struct zone *new_zone(struct loader *l, const char *control, size_t parent, const char *name)
{
	struct world *w = l->w;
	struct zone *z = &w->zones[w->n_zones];

	if (w->n_zones == ZONES_MAX)
		return NULL;
	*z = (struct zone) { .parent = parent, .mirror = NO_ZONE, .package = NO_PACKAGE };
	snprintf(z->control, sizeof(z->control), "%s", control);
	snprintf(z->name, sizeof(z->name), "%s", name);
	snprintf(z->dir, sizeof(z->dir), "%s:%x",
		parent == NO_ZONE ? control : w->zones[parent].dir, n_siblings(w, control, parent));
	return z;
}

static int load_zones(struct loader *l, json_t *zones, const char *control, size_t parent);

static int load_zone(struct loader *l, json_t *json, const char *control, size_t parent)
{
	const char *name, *mode = l->defaults.mode, *mirror = NULL;
	json_t *curve = NULL, *sum = NULL, *loads = NULL, *limits = NULL, *parts = NULL;
	json_t *shown_nj = NULL, *start = NULL, *limit;
	int esu = 14, bits = 32, r;
	double update_ms = l->defaults.update_ms, jitter_us = l->defaults.jitter_us;
	json_error_t e;
	struct zone *z;
	size_t i, own = l->w->n_zones;

	if (json_unpack_ex(json, &e, JSON_STRICT,
		    "{s:s, s?s, s?s, s?s, s?o, s?o, s?o, s?o, s?o, s?o, s?o, s?i, s?i, s?F, s?F}",
		    "name", &name, "control", &control, "mode", &mode, "mirror", &mirror, "curve",
		    &curve, "sum", &sum, "loads", &loads, "limits", &limits, "parts", &parts,
		    "shown_nj", &shown_nj, "start", &start, "esu", &esu, "bits", &bits, "update_ms",
		    &update_ms, "jitter_us", &jitter_us) < 0)
		return refuse(l, "a zone: %s", e.text);
	z = new_zone(l, control, parent, name);
	if (!z)
		return refuse(l, "more than %d zones", ZONES_MAX);
	z->mode = (unsigned) strtoul(mode, NULL, 8) & 0777;
	if (curve && curve_load(curve, &z->curve) < 0)
		return refuse(l, "%s: curve: not [[seconds, watts], ...]", z->dir);
	r = mirror ? load_mirror(l, z, mirror) : load_terms(l, z, sum);
	if (r == 0 && loads)
		r = load_loads(l, z, loads);
	json_array_foreach(limits, i, limit) if (r == 0) r = load_limit(l, z, limit);
	if (r == 0)
		r = load_counter(l, z, esu, bits, shown_nj, start, update_ms, jitter_us);
	/* Counted from here on, so that what it holds is given back. */
	l->w->n_zones++;
	if (r < 0)
		return r;
	add_usual_limits(z);
	return load_zones(l, parts, control, own);
}

static int load_zones(struct loader *l, json_t *zones, const char *control, size_t parent)
{
	json_t *zone;
	size_t i;

	json_array_foreach(zones, i, zone)
	{
		int r = load_zone(l, zone, control, parent);

		if (r < 0)
			return r;
	}
	return 0;
}

static int load_world(struct loader *l, struct script *s)
{
	json_t *zones;
	json_int_t seed = 1;
	json_error_t e;

	if (json_unpack_ex(s->json, &e, JSON_STRICT, "{s?I, s?F, s?F, s?s, s?o, s?o, s:o}", "seed",
		    &seed, "update_ms", &l->defaults.update_ms, "jitter_us", &l->defaults.jitter_us,
		    "mode", &l->defaults.mode, "files", &s->files, "faults", &s->faults, "zones",
		    &zones) < 0)
		return refuse(l, "the script: %s", e.text);
	l->w->seed = (uint64_t) seed;
	return load_zones(l, zones, "intel-rapl", NO_ZONE);
}

int script_load(const char *path, struct world *w, struct script *ret, char *error, size_t n)
{
	struct loader l = {
		.w = w, .defaults = { .update_ms = 1, .mode = "0400" }, .error = error, .n = n
	};
	json_error_t e;
	int r;

	*ret = (struct script) { .json = json_load_file(path, 0, &e) };
	if (!ret->json)
		return refuse(&l, "%s: line %d: %s", path, e.line, e.text);
	r = load_world(&l, ret);
	if (r < 0)
		script_finish(ret);
	return r;
}

static enum fault_kind kind_of(const char *line, const char **ret_rest)
{
	for (enum fault_kind k = 0; k < FAULT_KINDS; k++) {
		size_t length = strlen(fault_name(k));

		if (strncmp(line, fault_name(k), length) == 0 && line[length] == ' ') {
			*ret_rest = line + length;
			return k;
		}
	}
	return FAULT_KINDS;
}

int script_add_faults(const struct script *s, struct world *w, uint64_t now_ns)
{
	const json_t *line;
	size_t i;

	json_array_foreach(s->faults, i, line)
	{
		const char *text = json_string_value(line), *rest = NULL;
		enum fault_kind kind = text ? kind_of(text, &rest) : FAULT_KINDS;

		if (kind == FAULT_KINDS) {
			snprintf(w->refused, sizeof(w->refused), "not a fault: '%s'",
				text ? text : "");
			return -EINVAL;
		}
		if (fault_add(w, kind, rest, now_ns) < 0)
			return -EINVAL;
	}
	return 0;
}

void script_finish(struct script *s)
{
	json_decref(s->json);
	*s = (struct script) { 0 };
}
