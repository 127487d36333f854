// SPDX-License-Identifier: MIT
/*
 * powermeasure compare: whether commands use more or less energy than they did.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/compare/comparison.h"
#include "cli/compare/saved.h"
#include "util/jw.h"
#include "util/parse.h"

struct line {
	const struct side *old;
	const struct side *new;
	uint32_t kinds;
	struct ratio ratio; /* new / old */
	bool exceeds;
};

struct verdicts {
	struct saved old;
	struct saved new;
	struct line *lines;
	size_t n;
	double limit; /* part by which a command may be worse; below 0: no matter */
	struct warnings warnings;
};

/* ---- matching ---------------------------------------------------------------------------- */

static const struct side *find(const struct saved *s, const struct saved *in, size_t i)
{
	/* One command here and one there are the same, whatever they are called. */
	if (s->n == 1 && in->n == 1)
		return &in->commands[0];
	for (size_t k = 0; k < in->n; k++)
		if (strcmp(in->commands[k].name, s->commands[i].name) == 0)
			return &in->commands[k];
	return NULL;
}

static void compare_pair(struct verdicts *v, const struct side *old, const struct side *new)
{
	struct line *line = &v->lines[v->n++];
	struct side pair[] = { *old, *new };
	struct side_how how = { 0 };
	uint32_t left_out;
	char kinds[64];

	*line = (struct line) { .old = old, .new = new };
	line->kinds = how.kinds = side_kinds(pair, 2, &left_out);
	how.same_sensors = saved_same_sensors(&v->old, &v->new, line->kinds);
	for (int k = 0; k < SIDE_KINDS; k++)
		if (fabs(old->scales[k].low - new->scales[k].low) > 1e-9 ||
			fabs(old->scales[k].high - new->scales[k].high) > 1e-9)
			how.same_sensors = false;
	side_ratio(old, new, &how, &line->ratio);
	comparison_kinds(left_out, kinds, sizeof(kinds));
	if (left_out)
		warnings_add(&v->warnings,
			"%s: %s is left out: a command's part of it is not known for each run of "
			"both",
			new->name, kinds);
	if (!line->ratio.known)
		warnings_add(&v->warnings, "%s: cannot be compared: %s", new->name,
			line->kinds ? "no energy was seen" : "no energy is known of both");
	else if (!line->ratio.scatter_known)
		warnings_add(&v->warnings,
			"%s: one run: the interval is from the sensors' bounds alone, and how far "
			"runs differ is not known (run -r 5)",
			new->name);
	line->exceeds = v->limit >= 0 && ratio_judge(&line->ratio) == RATIO_MORE &&
		line->ratio.ratio > 1 + v->limit;
}

static void warn_of_sensors(struct verdicts *v)
{
	char old[112], new[112];
	uint32_t kinds = 0;

	for (size_t i = 0; i < v->n; i++)
		kinds |= v->lines[i].kinds;

	if (!saved_same_sensors(&v->old, &v->new, KIND_ALL)) {
		saved_sensor_list(&v->old, old, sizeof(old));
		saved_sensor_list(&v->new, new, sizeof(new));
		warnings_add(&v->warnings, "the sensors differ: old: %s; new: %s%s", old, new,
			saved_same_sensors(&v->old, &v->new, kinds)
				? ""
				: "; so all their doubt is in the intervals");
	} else {
		for (size_t i = 0; i < v->new.n_sensors; i++)
			if (strcmp(v->new.sensors[i].quality, "estimated") == 0)
				warnings_add(&v->warnings,
					"%s is an estimate: the ratio is one of the model's "
					"figures, and what the model does not know of is not in it",
					kind_title(v->new.sensors[i].kind));
	}
	if (!v->old.tells_scales || !v->new.tells_scales)
		warnings_add(&v->warnings,
			"%s does not tell which of its doubt is the same in all runs, so that all "
			"of it is in the intervals (measure it anew)",
			v->old.tells_scales ? v->new.path : v->old.path);
}

static void warn_of_status(struct verdicts *v, const struct saved *s)
{
	if (s->exit_status != 0)
		warnings_add(
			&v->warnings, "%s: a run failed with status %lld", s->path, s->exit_status);
}

static int compare_documents(struct verdicts *v)
{
	v->lines = calloc(v->new.n, sizeof(*v->lines));
	if (!v->lines)
		return cli_fail("compare", "no memory");
	warn_of_status(v, &v->old);
	warn_of_status(v, &v->new);
	for (size_t i = 0; i < v->new.n; i++) {
		const struct side *old = find(&v->new, &v->old, i);

		if (old)
			compare_pair(v, old, &v->new.commands[i]);
		else
			warnings_add(&v->warnings, "%s is in %s only", v->new.commands[i].name,
				v->new.path);
	}
	for (size_t i = 0; i < v->old.n; i++)
		if (!find(&v->old, &v->new, i))
			warnings_add(&v->warnings, "%s is in %s only", v->old.commands[i].name,
				v->old.path);
	warn_of_sensors(v);
	if (v->n == 0)
		return cli_fail("compare", "%s and %s have no command of the same name",
			v->old.path, v->new.path);
	return CLI_DONE;
}

/* ---- telling ----------------------------------------------------------------------------- */

static const char *verdict_of(const struct line *line)
{
	if (!line->ratio.known)
		return "unknown";
	switch (ratio_judge(&line->ratio)) {
	case RATIO_MORE:
		return "worse";
	case RATIO_LESS:
		return "better";
	case RATIO_SAME:
		break;
	}
	return "same";
}

static void print_line(const struct line *line, double limit, FILE *out)
{
	const struct ratio *r = &line->ratio;
	const char *verdict = verdict_of(line);
	char text[64], kinds[64];

	comparison_kinds(line->kinds, kinds, sizeof(kinds));
	fprintf(out, "%s: %s", line->new->name,
		strcmp(verdict, "same") == 0 ? "same within noise" : verdict);
	if (r->known) {
		comparison_format(r, "+-", text, sizeof(text));
		fprintf(out, ": %s times the energy", text);
		if (isfinite(r->high))
			fprintf(out, " (%.4g to %.4g)", r->low, r->high);
		else
			fprintf(out, " (%.4g or more)", r->low);
		fprintf(out, ", %.4g J now and %.4g J before (%s; %zu and %zu runs)",
			side_mean_j(line->new, line->kinds), side_mean_j(line->old, line->kinds),
			kinds, line->new->n_runs, line->old->n_runs);
	}
	if (line->exceeds)
		fprintf(out, ": above the limit of %.4g %%", limit * 100);
	fputc('\n', out);
}

static void put_line(struct jw *j, const struct line *line)
{
	jw_open(j, '{');
	jw_kv_string(j, "name", line->new->name);
	jw_kv_string(j, "verdict", verdict_of(line));
	comparison_json_ratio(j, &line->ratio);
	comparison_json_kinds(j, line->kinds);
	jw_kv_real(j, "old_energy_j", side_mean_j(line->old, line->kinds));
	jw_kv_real(j, "new_energy_j", side_mean_j(line->new, line->kinds));
	jw_kv_u64(j, "old_runs", line->old->n_runs);
	jw_kv_u64(j, "new_runs", line->new->n_runs);
	jw_kv_bool(j, "exceeds", line->exceeds);
	jw_close(j, '}');
}

static void put_missing(
	struct jw *j, const char *key, const struct saved *s, const struct saved *in)
{
	jw_key(j, key);
	jw_open(j, '[');
	for (size_t i = 0; i < s->n; i++)
		if (!find(s, in, i))
			jw_string(j, s->commands[i].name);
	jw_close(j, ']');
}

static void print_json(const struct verdicts *v, FILE *out)
{
	struct buf b = BUF_INIT;
	struct jw j = JW_INIT(&b);

	jw_open(&j, '{');
	report_json_head(&j);
	if (v->limit >= 0)
		jw_kv_real(&j, "fail_above", v->limit);
	else
		jw_kv_null(&j, "fail_above");
	jw_key(&j, "commands");
	jw_open(&j, '[');
	for (size_t i = 0; i < v->n; i++)
		put_line(&j, &v->lines[i]);
	jw_close(&j, ']');
	put_missing(&j, "only_old", &v->old, &v->new);
	put_missing(&j, "only_new", &v->new, &v->old);
	report_json_warnings(&j, &v->warnings);
	jw_close(&j, '}');
	report_json_print(&b, out);
	buf_finish(&b);
}

static int tell(const struct verdicts *v, bool as_json)
{
	int status = CLI_DONE;

	if (as_json) {
		print_json(v, stdout);
	} else {
		for (size_t i = 0; i < v->n; i++)
			print_line(&v->lines[i], v->limit, stdout);
		report_warnings(&v->warnings, stdout);
	}
	for (size_t i = 0; i < v->n; i++)
		if (v->lines[i].exceeds)
			status = CLI_OVER;
		else if (!v->lines[i].ratio.known && status == CLI_DONE)
			status = CLI_FAILED;
	if (fflush(stdout) != 0 || ferror(stdout))
		return cli_fail("compare", "standard output cannot be written");
	return status;
}

/* ---- options ----------------------------------------------------------------------------- */

struct compare_options {
	double limit;
	bool json;
};

static int take_limit(void *field, const char *text, char *ret_why, size_t why_size)
{
	struct compare_options *given = field;
	char number[32];
	size_t n = strlen(text);
	uint64_t ppm;

	if (n > 0 && text[n - 1] == '%')
		n--;
	snprintf(number, sizeof(number), "%.*s", (int) n, text);
	if (n >= sizeof(number) || parse_fixed(number, 4, &ppm) < 0 || ppm > 1000000000) {
		snprintf(ret_why, why_size, "not a percentage from 0 to 100000: '%s'", text);
		return -EINVAL;
	}
	given->limit = (double) ppm / 1e6;
	return 0;
}

static const struct opt options[] = {
	OPT_CALL(0, "fail-above", "P%", take_limit,
		"exit 3 if a command is worse beyond the noise, and by more than P %"),
	OPT_FLAG(0, "json", struct compare_options, json,
		"print one JSON document (docs/compare.schema.json)"),
	OPT_END,
};

static int run_compare(int argc, char **argv)
{
	struct compare_options given = { .limit = -1 };
	struct verdicts v = { 0 };
	struct opts o;
	int r;

	opts_begin(&o, &command_compare, argc, argv, &given);
	if (!opts_take_all(&o, 2))
		return o.status;
	if (o.n_operands < 2)
		return cli_usage(
			"compare", "two documents are needed: the old one and the new one");
	v.limit = given.limit;
	if (saved_read(&v.old, o.words[1]) < 0)
		return CLI_FAILED;
	r = saved_read(&v.new, o.words[2]) < 0 ? CLI_FAILED : compare_documents(&v);
	if (r == CLI_DONE)
		r = tell(&v, given.json);
	free(v.lines);
	saved_finish(&v.old);
	saved_finish(&v.new);
	return r;
}

const struct cli_command command_compare = {
	.name = "compare",
	.summary = "compare two saved runs",
	.usage = "compare [OPTIONS] OLD.json NEW.json",
	.about =
		"Compares two documents that `powermeasure run` wrote as JSON, command by command: "
		"worse, better, or the same within noise. Commands are matched by name (run -n), or "
		"by being the only one.",
	.options = options,
	.status =
		"0 done; 3 as above; 1 for a document that cannot be read or energies that cannot "
		"be compared; 2 wrong usage",
	.run = run_compare,
};
