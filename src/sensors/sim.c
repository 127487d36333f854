// SPDX-License-Identifier: MIT
/*
 * Simulated hardware: power curves whose energy is known exactly, with a wrap range, an update
 * period and faults of their own. Used only when it is named: --sensors sim, or sim:FILE with a
 * script. The script is a JSON object:
 *
 *   { "domains": [ { "name": "package-0", "kind": "cpu", "scope": "package",
 *                    "curve": [[1.0, 20.0], [0.5, 60.0]],    seconds and watts, repeated for ever
 *                    "unit": [1000000, 16384],               microjoules in a count, as a fraction
 *                    "wrap": 4294967296,                     counts until it starts again; 0: never
 *                    "start": 0,                             counts at time 0
 *                    "update_ms": 1.0,                       how often the value is updated
 *                    "stamped": true,                        whether the update's time is told
 *                    "parent": "psys",                       a domain of the same kind is then a part
 *                    "faults": [ { "at": 2.0, "for": 0.5, "what": "eio" } ] } ] }
 *
 * Only "domains", "name", "kind" and "curve" must be there. A curve begins at CLOCK_MONOTONIC 0,
 * so that anybody can work out the energy between two times; a fault's time counts from when the
 * sensor was opened. Faults: eio, gone (ENODEV), stuck (the value stands still), reset (the count
 * starts at 0 at that time and stays so), absurd (a value far off), slow (a read takes "ms"
 * longer), hang (a read blocks until the fault is over).
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "meter/sensor.h"
#include "util/asuser.h"
#include "util/cleanup.h"
#include "util/timer.h"
#include "util/u128.h"

#define MAX_SEGMENTS 64
#define MAX_FAULTS 16
#define MAX_SECONDS 1e6
#define MAX_WATTS 1e6

static const char builtin_script[] =
	"{\"domains\": ["
	"{\"name\": \"package-0\", \"kind\": \"cpu\", \"scope\": \"package\","
	" \"curve\": [[1.0, 20.0], [1.0, 60.0]], \"unit\": [1000000, 16384], \"wrap\": 4294967296},"
	"{\"name\": \"package-0-dram\", \"kind\": \"dram\", \"scope\": \"memory\","
	" \"curve\": [[1.0, 5.0]], \"unit\": [1000000, 65536], \"wrap\": 4294967296},"
	"{\"name\": \"gpu-0\", \"kind\": \"gpu\", \"scope\": \"whole board\","
	" \"curve\": [[0.7, 30.0], [0.7, 150.0]], \"unit\": [1000, 1], \"update_ms\": 20}"
	"]}";

enum fault_kind {
	FAULT_EIO,
	FAULT_GONE,
	FAULT_STUCK,
	FAULT_RESET,
	FAULT_ABSURD,
	FAULT_SLOW,
	FAULT_HANG
};

static const char *const fault_names[] = { "eio", "gone", "stuck", "reset", "absurd", "slow",
	"hang" };

struct fault {
	enum fault_kind kind;
	uint64_t from_ns; /* since the sensor was opened */
	uint64_t to_ns;
	uint64_t slow_ns;
};

struct curve {
	struct {
		uint64_t ns;
		uint64_t mw;
	} segments[MAX_SEGMENTS];
	size_t n;
	uint64_t period_ns;
	u128 period_pj;
};

struct sim_domain {
	struct curve curve;
	uint64_t start;
	bool stamped;
	struct fault faults[MAX_FAULTS];
	size_t n_faults;
};

struct sim {
	uint64_t opened_ns;
	struct sim_domain domains[SENSOR_MAX_DOMAINS];
};

/* ---- the curve -------------------------------------------------------------------------- */

/* 1 mW for 1 ns is 1 pJ. */
static u128 energy_pj(const struct curve *c, uint64_t t_ns)
{
	u128 pj = c->period_pj * (t_ns / c->period_ns);
	uint64_t rest = t_ns % c->period_ns;

	for (size_t i = 0; i < c->n && rest > 0; i++) {
		uint64_t ns = rest < c->segments[i].ns ? rest : c->segments[i].ns;

		pj += (u128) ns * c->segments[i].mw;
		rest -= ns;
	}
	return pj;
}

static uint64_t power_mw(const struct curve *c, uint64_t t_ns)
{
	uint64_t rest = t_ns % c->period_ns;
	size_t i = 0;

	while (i + 1 < c->n && rest >= c->segments[i].ns)
		rest -= c->segments[i++].ns;
	return c->segments[i].mw;
}

/* The count at a time, before wrapping. A count is unit_num / unit_den uJ = 10^6 times that in pJ. */
static u128 count_at(const struct sim_domain *sd, const struct domain *d, uint64_t t_ns)
{
	return energy_pj(&sd->curve, t_ns) * d->unit_den / ((u128) d->unit_num * 1000000);
}

/* ---- the script ------------------------------------------------------------------------- */

static bool get_number(const json_t *object, const char *key, double lowest, double highest,
	double fallback, double *ret)
{
	const json_t *v = json_object_get(object, key);

	*ret = fallback;
	if (!v)
		return true;
	if (!json_is_number(v))
		return false;
	*ret = json_number_value(v);
	return *ret >= lowest && *ret <= highest;
}

static uint64_t to_ns(double seconds)
{
	return (uint64_t) llround(seconds * 1e9);
}

static bool load_curve(const json_t *curve, struct curve *ret)
{
	const json_t *segment;
	size_t i;

	if (!json_is_array(curve) || json_array_size(curve) == 0 ||
		json_array_size(curve) > MAX_SEGMENTS)
		return false;
	json_array_foreach(curve, i, segment)
	{
		double s = json_number_value(json_array_get(segment, 0));
		double w = json_number_value(json_array_get(segment, 1));

		if (json_array_size(segment) != 2 || !(s > 0 && s <= MAX_SECONDS) ||
			!(w >= 0 && w <= MAX_WATTS))
			return false;
		ret->segments[i].ns = to_ns(s);
		ret->segments[i].mw = (uint64_t) llround(w * 1e3);
		ret->period_ns += ret->segments[i].ns;
		ret->period_pj += (u128) ret->segments[i].ns * ret->segments[i].mw;
	}
	ret->n = json_array_size(curve);
	return ret->period_ns > 0;
}

static bool load_fault(const json_t *fault, struct fault *ret)
{
	const char *what = json_string_value(json_object_get(fault, "what"));
	double at, lasts, ms;

	if (!what || !get_number(fault, "at", 0, MAX_SECONDS, 0, &at) ||
		!get_number(fault, "for", 0, MAX_SECONDS, MAX_SECONDS, &lasts) ||
		!get_number(fault, "ms", 0, 1e6, 0, &ms))
		return false;
	ret->from_ns = to_ns(at);
	ret->to_ns = to_ns(at + lasts);
	ret->slow_ns = to_ns(ms / 1e3);
	for (size_t i = 0; i < ARRAY_SIZE(fault_names); i++) {
		if (strcmp(what, fault_names[i]) == 0) {
			ret->kind = (enum fault_kind) i;
			return true;
		}
	}
	return false;
}

static bool load_faults(const json_t *faults, struct sim_domain *sd)
{
	const json_t *fault;
	size_t i;

	if (!faults)
		return true;
	if (!json_is_array(faults) || json_array_size(faults) > MAX_FAULTS)
		return false;
	json_array_foreach(faults, i, fault) if (!load_fault(fault, &sd->faults[i])) return false;
	sd->n_faults = json_array_size(faults);
	return true;
}

static bool load_unit(const json_t *unit, struct domain *d)
{
	json_int_t num, den;

	if (!unit)
		return true;
	num = json_integer_value(json_array_get(unit, 0));
	den = json_integer_value(json_array_get(unit, 1));
	if (json_array_size(unit) != 2 || num <= 0 || den <= 0 || num > 1000000000 ||
		den > 1000000000)
		return false;
	d->unit_num = (uint64_t) num;
	d->unit_den = (uint64_t) den;
	return true;
}

static bool load_kind(const char *name, struct domain *d)
{
	for (int k = 0; k < KIND_COUNT; k++) {
		if (name && strcmp(name, kind_name((enum kind) k)) == 0) {
			d->kind = (enum kind) k;
			return true;
		}
	}
	return false;
}

static bool load_parent(struct sensor *s, const json_t *parent, struct domain *d)
{
	const char *name = json_string_value(parent);

	if (!parent)
		return true;
	for (size_t i = 0; name && i + 1 < s->n_domains; i++) {
		if (strcmp(s->domains[i].name, name) == 0) {
			d->parent = (int) i;
			d->counted = s->domains[i].kind != d->kind;
			return true;
		}
	}
	return false;
}

/* Returns the key that is wrong, or NULL. */
static const char *load_domain(struct sensor *s, const json_t *object)
{
	struct sim *sim = s->state;
	const char *name = json_string_value(json_object_get(object, "name"));
	const char *scope = json_string_value(json_object_get(object, "scope"));
	struct domain *d = sensor_add_domain(s);
	struct sim_domain *sd;
	double wrap, start, update_ms;

	if (!d)
		return "domains";
	sd = &sim->domains[s->n_domains - 1];
	if (!name || strlen(name) >= sizeof(d->name))
		return "name";
	snprintf(d->name, sizeof(d->name), "%s", name);
	snprintf(d->scope, sizeof(d->scope), "%s", scope ? scope : "simulated");
	if (!load_kind(json_string_value(json_object_get(object, "kind")), d))
		return "kind";
	if (!load_curve(json_object_get(object, "curve"), &sd->curve))
		return "curve";
	if (!load_unit(json_object_get(object, "unit"), d))
		return "unit";
	if (!get_number(object, "wrap", 0, 9e15, 0, &wrap))
		return "wrap";
	if (!get_number(object, "start", 0, 9e15, 0, &start))
		return "start";
	if (!get_number(object, "update_ms", 0, 1e6, 1, &update_ms))
		return "update_ms";
	if (!load_parent(s, json_object_get(object, "parent"), d))
		return "parent";
	if (!load_faults(json_object_get(object, "faults"), sd))
		return "faults";
	sd->stamped = json_is_true(json_object_get(object, "stamped"));
	sd->start = (uint64_t) start;
	d->modulus = (uint64_t) wrap;
	d->update_ns = to_ns(update_ms / 1e3);
	d->max_power_mw = 1000000;
	d->power_only = s->ops->polled;
	d->quality = s->ops->polled ? FLAG_INTEGRATED : FLAG_MEASURED;
	if (s->ops->polled)
		d->modulus = 0;
	return NULL;
}

static json_t *load_script(struct sensor *s)
{
	const char *file = s->options->file;
	CLEANUP_FD int fd = file ? asuser_open(file, O_RDONLY, 0) : -1;
	json_error_t error;
	json_t *script;

	if (file && fd < 0) {
		sensor_refuse(s, -EINVAL, NULL, "unable to open %.80s: %s", file, strerror(-fd));
		return NULL;
	}
	script = file ? json_loadfd(fd, JSON_REJECT_DUPLICATES, &error)
		      : json_loads(builtin_script, 0, &error);
	if (!script)
		sensor_refuse(s, -EINVAL, NULL, "%.80s, line %d: %s",
			file ? file : "built-in script", error.line, error.text);
	return script;
}

/* ---- the backend ------------------------------------------------------------------------ */

static int sim_probe(struct sensor *s)
{
	json_t *script = load_script(s);

	if (!script)
		return -EINVAL;
	json_decref(script);
	return 0;
}

static int sim_open(struct sensor *s)
{
	json_t *script = load_script(s), *domains;
	struct sim *sim;
	size_t i;
	int r = 0;

	if (!script)
		return -EINVAL;
	sim = s->state = calloc(1, sizeof(*sim));
	domains = json_object_get(script, "domains");
	if (!sim)
		r = sensor_refuse(s, -ENOMEM, NULL, "out of memory");
	else if (json_array_size(domains) == 0)
		r = sensor_refuse(s, -EINVAL, NULL, "the script has no \"domains\"");
	for (i = 0; r == 0 && i < json_array_size(domains); i++) {
		const char *wrong = load_domain(s, json_array_get(domains, i));

		if (wrong)
			r = sensor_refuse(
				s, -EINVAL, NULL, "the script's domain %zu: bad \"%s\"", i, wrong);
	}
	json_decref(script);
	if (r < 0)
		return r;
	sim->opened_ns = host_now_ns(s->host);
	s->period_ns = NS_PER_S;
	for (i = 0; i < s->n_domains; i++)
		if (s->domains[i].update_ns && s->domains[i].update_ns / 2 < s->period_ns)
			s->period_ns = s->domains[i].update_ns / 2;
	if (s->period_ns < NS_PER_MS)
		s->period_ns = NS_PER_MS;
	return 0;
}

static void wait_until(const struct sensor *s, uint64_t t_ns)
{
	uint64_t now_ns = host_now_ns(s->host);

	if (t_ns > now_ns)
		timer_sleep(t_ns - now_ns);
}

/* Applies the faults that are on. t_ns is the time whose value is shown. Returns 0 or -errno. */
static int apply_faults(const struct sensor *s, const struct sim_domain *sd, const struct domain *d,
	uint64_t *t_ns, u128 *zero_count, bool *absurd)
{
	const struct sim *sim = s->state;

	for (size_t i = 0; i < sd->n_faults; i++) {
		const struct fault *f = &sd->faults[i];
		uint64_t from_ns = sim->opened_ns + f->from_ns;
		uint64_t to_ns = sim->opened_ns + f->to_ns;

		if (*t_ns < from_ns || (*t_ns >= to_ns && f->kind != FAULT_RESET))
			continue;
		switch (f->kind) {
		case FAULT_EIO:
			return -EIO;
		case FAULT_GONE:
			return -ENODEV;
		case FAULT_STUCK:
			*t_ns = from_ns;
			break;
		case FAULT_RESET:
			*zero_count = count_at(sd, d, from_ns) + sd->start;
			break;
		case FAULT_ABSURD:
			*absurd = true;
			break;
		case FAULT_SLOW:
			wait_until(s, host_now_ns(s->host) + f->slow_ns);
			break;
		case FAULT_HANG:
			wait_until(s, to_ns);
			break;
		}
	}
	return 0;
}

static void read_domain(struct sensor *s, size_t i, struct reading *ret)
{
	const struct sim *sim = s->state;
	const struct sim_domain *sd = &sim->domains[i];
	const struct domain *d = &s->domains[i];
	uint64_t t_ns = host_now_ns(s->host), shown_ns = t_ns;
	u128 zero_count = 0, count;
	bool absurd = false;

	ret->error = apply_faults(s, sd, d, &shown_ns, &zero_count, &absurd);
	if (ret->error)
		return;
	if (d->update_ns)
		shown_ns -= shown_ns % d->update_ns;
	count = count_at(sd, d, shown_ns) + sd->start;
	count = count > zero_count ? count - zero_count : 0;
	if (absurd)
		count += d->modulus ? d->modulus / 2 : UINT64_C(1) << 60;
	ret->raw = (uint64_t) (d->modulus ? count % d->modulus : count);
	if (d->power_only)
		ret->power_mw = power_mw(&sd->curve, shown_ns);
	ret->t_ns = sd->stamped ? shown_ns : t_ns;
	ret->t_err_ns = sd->stamped ? 0 : d->update_ns;
}

static int sim_read(struct sensor *s, struct reading *ret)
{
	for (size_t i = 0; i < s->n_domains; i++) {
		ret[i] = (struct reading) { .flags = s->domains[i].quality };
		if (!sensor_skips(s, i, &ret[i]))
			read_domain(s, i, &ret[i]);
	}
	return 0;
}

static void sim_close(struct sensor *s)
{
	free(s->state);
	s->state = NULL;
}

const struct sensor_ops sensor_sim = {
	.name = "sim",
	.role = SENSOR_SIMULATED,
	.gives = "what its script says, SIMULATED",
	.kinds = KIND_ALL,
	.sure_kinds = 0,
	.polled = false,
	.probe = sim_probe,
	.open = sim_open,
	.read = sim_read,
	.close = sim_close,
	.takes_file = true,
};

/* The same curves, told as power only and read in a thread, as slow hardware is. */
const struct sensor_ops sensor_sim_polled = {
	.name = "sim-polled",
	.role = SENSOR_SIMULATED,
	.gives = "what its script says, SIMULATED",
	.kinds = KIND_ALL,
	.sure_kinds = 0,
	.polled = true,
	.probe = sim_probe,
	.open = sim_open,
	.read = sim_read,
	.close = sim_close,
	.takes_file = true,
};
