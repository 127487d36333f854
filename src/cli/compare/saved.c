// SPDX-License-Identifier: MIT
#include "cli/compare/saved.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "util/asuser.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "session/schema.h"

/* No sum of such is infinite. */
#define MAX_NUMBER 1e15

/* ---- what is wrong, and where ------------------------------------------------------------ */

/* The place in the document that is looked at, as a path: "commands[1].runs". */
struct place {
	const struct saved *saved;
	char text[160];
};

__attribute__((format(printf, 2, 3))) static int bad(
	const struct place *at, const char *format, ...)
{
	char what[256];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	cli_fail("compare", "%s: %s%s%s", at->saved->path, at->text, at->text[0] ? ": " : "", what);
	return -1;
}

__attribute__((format(printf, 2, 3))) static struct place below(
	const struct place *at, const char *format, ...)
{
	struct place ret = { .saved = at->saved };
	char step[64];
	va_list args;

	va_start(args, format);
	vsnprintf(step, sizeof(step), format, args);
	va_end(args);
	snprintf(ret.text, sizeof(ret.text), "%s%s%s", at->text,
		at->text[0] && step[0] != '[' ? "." : "", step);
	return ret;
}

/* ---- runs -------------------------------------------------------------------------------- */

static int read_number(const struct place *at, const json_t *object, const char *key, double *ret)
{
	const json_t *value = json_object_get(object, key);
	struct place here = below(at, "%s", key);

	if (!json_is_number(value))
		return bad(&here, "is no number");
	*ret = json_number_value(value);
	if (*ret < 0)
		return bad(&here, "is below 0");
	if (*ret > MAX_NUMBER)
		return bad(&here, "is too large");
	return 0;
}

static int read_energy(const struct place *at, const json_t *value, struct ratio_energy *ret)
{
	if (!json_is_object(value))
		return bad(at, "is neither null nor an energy with its range");
	if (read_number(at, value, "energy_j", &ret->j) < 0 ||
		read_number(at, value, "low_j", &ret->low_j) < 0 ||
		read_number(at, value, "high_j", &ret->high_j) < 0)
		return -1;
	return 0;
}

static int read_run(const struct place *at, const json_t *run, size_t i, struct side *c)
{
	const json_t *ranges = json_object_get(run, "command_energy_range_j");
	const json_t *whole = json_object_get(run, "other_energy_j");
	struct place here = below(at, "command_energy_range_j");

	if (!json_is_object(ranges))
		return bad(&here, "is missing");
	for (int k = 0; k < SIDE_KINDS; k++) {
		const char *kind = kind_name((enum kind) k);
		const json_t *value = json_object_get(ranges, kind);
		struct place part = below(&here, "%s", kind);

		if (!value)
			return bad(&part, "is missing");
		if (json_is_number(json_object_get(whole, kind)))
			c->partly |= KIND_BIT(k);
		if (json_is_null(value))
			c->kinds &= ~KIND_BIT(k);
		else if (read_energy(&part, value, &c->runs[i].parts[k]) < 0)
			return -1;
		else
			c->partly |= KIND_BIT(k);
	}
	return 0;
}

static int read_runs(const struct place *at, const json_t *object, struct side *c)
{
	const json_t *runs = json_object_get(object, "runs");
	struct place here = below(at, "runs");
	const json_t *run;
	size_t i;

	if (!json_is_array(runs))
		return bad(&here, "is no list of runs");
	c->n_runs = json_array_size(runs);
	if (c->n_runs == 0)
		return bad(&here, "no run was measured");
	c->runs = calloc(c->n_runs, sizeof(*c->runs));
	if (!c->runs)
		return bad(&here, "no memory");
	c->kinds = KIND_BIT(SIDE_KINDS) - 1;
	c->n_runs = 0;
	json_array_foreach(runs, i, run)
	{
		struct place one = below(&here, "[%zu]", i);

		/* Cut short, or without some of its energy. Older documents do not say so. */
		if (json_is_false(json_object_get(run, "counted")))
			continue;
		if (read_run(&one, run, c->n_runs++, c) < 0)
			return -1;
	}
	if (c->n_runs == 0)
		return bad(&here, "each was cut short or lacks energy: measure it again");
	return 0;
}

/* ---- commands ---------------------------------------------------------------------------- */

/* A command without a name goes by its words. */
static char *join_words(const json_t *words)
{
	struct buf b = BUF_INIT;
	const json_t *word;
	char *ret;
	size_t i;

	json_array_foreach(words, i, word)
		buf_printf(&b, "%s%s", i ? " " : "", json_string_value(word));
	ret = b.failed ? NULL : strdup(buf_text(&b));
	buf_finish(&b);
	return ret;
}

static int read_name(struct saved *s, const struct place *at, const json_t *object)
{
	const json_t *name = json_object_get(object, "name"), *word;
	const json_t *words = json_object_get(object, "command");
	struct side *c = &s->commands[s->n - 1];
	size_t i;

	if (json_is_string(name)) {
		c->name = json_string_value(name);
	} else {
		struct place here = below(at, "command");

		if (!json_is_array(words) || json_array_size(words) == 0)
			return bad(&here, "is no list of words");
		json_array_foreach(words, i, word) if (!json_is_string(word)) return bad(
			&here, "is no list of words");
		c->name = s->names[s->n - 1] = join_words(words);
		if (!c->name)
			return bad(&here, "no memory");
	}
	for (i = 0; i + 1 < s->n; i++)
		if (strcmp(s->commands[i].name, c->name) == 0)
			return bad(at, "there is \"%s\" twice", c->name);
	return 0;
}

static int read_command(struct saved *s, const struct place *at, const json_t *object)
{
	struct side *c = &s->commands[s->n++];

	if (!json_is_object(object))
		return bad(at, "is no command");
	if (read_name(s, at, object) < 0)
		return -1;
	return read_runs(at, object, c);
}

static int read_commands(struct saved *s, const struct place *at)
{
	const json_t *list = json_object_get(s->document, "commands"), *one;
	struct place here = below(at, "commands");
	size_t n = list ? json_array_size(list) : 1, i;

	if (list && n == 0)
		return bad(&here, "there is no command in it");
	s->commands = calloc(n, sizeof(*s->commands));
	s->names = calloc(n, sizeof(*s->names));
	if (!s->commands || !s->names)
		return bad(at, "no memory");
	if (!list)
		return read_command(s, at, s->document);
	json_array_foreach(list, i, one)
	{
		struct place item = below(&here, "[%zu]", i);

		if (read_command(s, &item, one) < 0)
			return -1;
	}
	return 0;
}

/* ---- sensors ----------------------------------------------------------------------------- */

static bool kind_of(const char *name, enum kind *ret)
{
	for (int k = 0; name && k < KIND_COUNT; k++)
		if (strcmp(kind_name((enum kind) k), name) == 0) {
			*ret = (enum kind) k;
			return true;
		}
	return false;
}

static int order(const void *a, const void *b)
{
	const struct saved_sensor *x = a, *y = b;
	int r = (int) x->kind - (int) y->kind;

	r = r ? r : strcmp(x->name, y->name);
	return r ? r : strcmp(x->quality, y->quality);
}

static int read_sensors(struct saved *s, const struct place *at)
{
	const json_t *list = json_object_get(s->document, "sensors"), *one;
	struct place here = below(at, "sensors");
	size_t i;

	if (!json_is_array(list))
		return bad(&here, "is no list of sensors");
	json_array_foreach(list, i, one)
	{
		struct saved_sensor sensor = { .name = json_string_value(
						       json_object_get(one, "name")),
			.quality = json_string_value(json_object_get(one, "quality")) };
		bool seen = false;

		if (!sensor.name || !sensor.quality ||
			!kind_of(json_string_value(json_object_get(one, "kind")), &sensor.kind)) {
			struct place item = below(&here, "[%zu]", i);

			return bad(&item, "is no sensor");
		}
		for (size_t k = 0; k < s->n_sensors; k++)
			seen |= order(&s->sensors[k], &sensor) == 0;
		if (!seen && s->n_sensors < SAVED_MAX_SENSORS)
			s->sensors[s->n_sensors++] = sensor;
	}
	qsort(s->sensors, s->n_sensors, sizeof(s->sensors[0]), order);
	return 0;
}

/* Without them what is the same in all runs is not known. */
static int read_scales(struct saved *s, const struct place *at)
{
	const json_t *scales = json_object_get(s->document, "scale_error");
	struct place here = below(at, "scale_error");

	s->tells_scales = json_is_object(scales);
	for (int k = 0; k < SIDE_KINDS; k++) {
		const json_t *one = json_object_get(scales, kind_name((enum kind) k));
		struct place item = below(&here, "%s", kind_name((enum kind) k));
		struct ratio_scale scale = { 0 };

		if (json_is_object(one) &&
			(read_number(&item, one, "low", &scale.low) < 0 ||
				read_number(&item, one, "high", &scale.high) < 0))
			return -1;
		if (scale.low >= 1)
			return bad(&item, "low: is not below 1");
		s->models[k] = json_string_value(json_object_get(one, "model"));
		for (size_t i = 0; i < s->n; i++) {
			s->commands[i].scales[k] = scale;
			s->commands[i].lasting[k] = !json_is_object(one);
		}
	}
	return 0;
}

bool saved_same_sensors(const struct saved *a, const struct saved *b, uint32_t kinds)
{
	size_t i = 0, k = 0;

	for (int kind = 0; kind < SIDE_KINDS; kind++) {
		const char *x = a->models[kind], *y = b->models[kind];

		if (kinds & KIND_BIT(kind) && (x || y) && (!x || !y || strcmp(x, y) != 0))
			return false;
	}
	for (;;) {
		while (i < a->n_sensors && !(kinds & KIND_BIT(a->sensors[i].kind)))
			i++;
		while (k < b->n_sensors && !(kinds & KIND_BIT(b->sensors[k].kind)))
			k++;
		if (i == a->n_sensors || k == b->n_sensors)
			return i == a->n_sensors && k == b->n_sensors;
		if (order(&a->sensors[i++], &b->sensors[k++]) != 0)
			return false;
	}
}

void saved_sensor_list(const struct saved *s, char *ret, size_t n)
{
	size_t at = 0;

	snprintf(ret, n, "no sensor");
	for (size_t i = 0; i < s->n_sensors && at < n; i++) {
		const struct saved_sensor *one = &s->sensors[i];
		const char *model = one->kind < SIDE_KINDS ? s->models[one->kind] : NULL;

		at += (size_t) snprintf(ret + at, n - at, "%s%s (%s, %s%s%s)", at ? ", " : "",
			one->name, kind_title(one->kind), one->quality, model ? ": " : "",
			model ? model : "");
	}
}

/* ---- the document ------------------------------------------------------------------------ */

static int load(struct saved *s, const struct place *at)
{
	CLEANUP_FD int fd = asuser_open(s->path, O_RDONLY, 0);
	json_error_t error;

	if (fd < 0)
		return bad(at, "%s", strerror(-fd));
	s->document = json_loadfd(fd, 0, &error);
	if (!s->document)
		return bad(at, "line %d, column %d: %s", error.line, error.column, error.text);
	return 0;
}

static int check_version(const struct saved *s, const struct place *at)
{
	const json_t *version = json_object_get(s->document, "schema_version");

	if (!json_is_integer(version) ||
		(!json_object_get(s->document, "commands") &&
			!json_object_get(s->document, "runs")))
		return bad(at, "is no document of `powermeasure run --json`");
	if (json_integer_value(version) != SCHEMA_REPORT)
		return bad(at,
			"schema_version %lld is not known: this is powermeasure " PM_VERSION
			", which reads %d",
			(long long) json_integer_value(version), SCHEMA_REPORT);
	return 0;
}

int saved_read(struct saved *ret, const char *path)
{
	struct place at = { .saved = ret };

	*ret = (struct saved) { .path = path };
	if (load(ret, &at) == 0 && check_version(ret, &at) == 0 && read_commands(ret, &at) == 0 &&
		read_sensors(ret, &at) == 0 && read_scales(ret, &at) == 0) {
		ret->exit_status = json_integer_value(
			json_object_get(ret->document, "exit_status"));
		return 0;
	}
	saved_finish(ret);
	return -1;
}

void saved_finish(struct saved *s)
{
	for (size_t i = 0; i < s->n; i++) {
		side_finish(&s->commands[i]);
		free(s->names[i]);
	}
	free(s->commands);
	free(s->names);
	json_decref(s->document);
	*s = (struct saved) { 0 };
}
