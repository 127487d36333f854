// SPDX-License-Identifier: MIT
#include "cli/compare/comparison.h"
#include "util/jw.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

void comparison_kinds(uint32_t kinds, char *ret, size_t n)
{
	size_t at = 0;

	ret[0] = '\0';
	for (int k = 0; k < SIDE_KINDS && at < n; k++)
		if (kinds & KIND_BIT(k))
			at += (size_t) snprintf(ret + at, n - at, "%s%s", at ? " + " : "",
				kind_title((enum kind) k));
}

/* So many decimals that the doubt has two digits, and two at least. */
static int decimals_for(double doubt)
{
	int n = doubt > 0 ? 1 - (int) floor(log10(doubt)) : 2;

	return n < 2 ? 2 : n > 6 ? 6 : n;
}

void comparison_format(const struct ratio *r, const char *sign, char *ret, size_t n)
{
	double half = ratio_half_width(r);

	if (isfinite(half))
		snprintf(ret, n, "%.*f %s %.*f", decimals_for(half), r->ratio, sign,
			decimals_for(half), half);
	else
		snprintf(ret, n, "%.3g", r->ratio);
}

static void note(struct run_set *set, const struct comparison *c, uint32_t left_out)
{
	char kinds[64];
	bool one_run = false;

	for (size_t i = 0; i < c->n; i++)
		one_run |= c->commands[i].n_runs == 1;
	comparison_kinds(left_out, kinds, sizeof(kinds));
	if (left_out)
		warnings_add(&set->warnings,
			"%s is left out of the comparison: a command's part of it is not known "
			"for each run of each command",
			kinds);
	if (!c->kinds) {
		warnings_add(
			&set->warnings, "nothing is compared: no energy is known of all commands");
		return;
	}
	if (set->exit_status)
		warnings_add(&set->warnings,
			"a run failed: the energy of such runs is in the comparison, too");
	if (one_run)
		warnings_add(&set->warnings,
			"the comparison's intervals are from the sensors' bounds alone: how far "
			"runs differ is not known of one run (-r 5)");
	for (int k = 0; k < SIDE_KINDS; k++)
		if (c->kinds & KIND_BIT(k) && set->reports[0].total.kinds[k].flags & FLAG_ESTIMATED)
			warnings_add(&set->warnings,
				"%s is an estimate: the ratio is one of the model's figures, and "
				"what the model does not know of is not in it",
				kind_title((enum kind) k));
}

static void compare_all(struct comparison *c)
{
	const struct side_how how = { .kinds = c->kinds, .same_sensors = true, .in_turn = true };

	for (size_t i = 0; i < c->n; i++) {
		double mean = side_mean_j(&c->commands[i], c->kinds);

		/* No energy at all is less than any sensor can tell. */
		if (mean > 0 &&
			(!c->known || mean < side_mean_j(&c->commands[c->base], c->kinds))) {
			c->base = i;
			c->known = true;
		}
	}
	for (size_t i = 0; c->known && i < c->n; i++)
		if (i != c->base)
			side_ratio(&c->commands[c->base], &c->commands[i], &how, &c->ratios[i]);
}

int comparison_make(struct comparison *ret, struct run_set *set)
{
	struct comparison c = { .commands = calloc(set->n, sizeof(*c.commands)),
		.ratios = calloc(set->n, sizeof(*c.ratios)) };
	uint32_t left_out;
	int r = c.commands && c.ratios ? 0 : -ENOMEM;

	for (; r == 0 && c.n < set->n; c.n += r == 0)
		r = side_take(&c.commands[c.n], &set->reports[c.n]);
	if (r < 0) {
		comparison_finish(&c);
		return r;
	}
	c.kinds = side_kinds(c.commands, c.n, &left_out);
	note(set, &c, left_out);
	compare_all(&c);
	*ret = c;
	return 0;
}

void comparison_finish(struct comparison *c)
{
	for (size_t i = 0; i < c->n; i++)
		side_finish(&c->commands[i]);
	free(c->commands);
	free(c->ratios);
	*c = (struct comparison) { 0 };
}

static void print_ratio(const struct ratio *r, const char *best, const char *other, FILE *out)
{
	char text[64];

	comparison_format(r, "+-", text, sizeof(text));
	if (ratio_judge(r) == RATIO_SAME) {
		fprintf(out, "%s and %s cannot be told apart: %s uses %s times as much energy",
			best, other, other, text);
	} else {
		fprintf(out, "%s uses %s times less energy than %s", best, text, other);
	}
	if (isfinite(r->high))
		fprintf(out, " (%.4g to %.4g)\n", r->low, r->high);
	else
		fprintf(out, " (%.4g or more)\n", r->low);
}

void comparison_text(const struct comparison *c, FILE *out)
{
	const char *best;
	char kinds[64];

	if (!c->known)
		return;
	best = c->commands[c->base].name;
	comparison_kinds(c->kinds, kinds, sizeof(kinds));
	fprintf(out, "\n%s, mean of each command's runs:\n", kinds);
	for (size_t i = 0; i < c->n; i++) {
		if (i == c->base)
			continue;
		if (c->ratios[i].known)
			print_ratio(&c->ratios[i], best, c->commands[i].name, out);
		else
			fprintf(out, "%s and %s cannot be compared: %s\n", best,
				c->commands[i].name,
				c->commands[i].n_runs ? "no energy of the latter was seen"
						      : "the latter was not run");
	}
}

void comparison_json_ratio(struct jw *j, const struct ratio *r)
{
	if (r->known) {
		jw_kv_real(j, "ratio", r->ratio);
		jw_kv_real(j, "low", r->low);
		jw_kv_real(j, "high", r->high);
	} else {
		jw_kv_null(j, "ratio");
		jw_kv_null(j, "low");
		jw_kv_null(j, "high");
	}
	jw_kv_bool(j, "scatter_known", r->scatter_known);
}

void comparison_json_kinds(struct jw *j, uint32_t kinds)
{
	jw_key(j, "kinds");
	jw_open(j, '[');
	for (int k = 0; k < SIDE_KINDS; k++)
		if (kinds & KIND_BIT(k))
			jw_string(j, kind_name((enum kind) k));
	jw_close(j, ']');
}

void comparison_json(struct jw *j, const struct comparison *c)
{
	jw_key(j, "comparison");
	jw_open(j, '[');
	for (size_t i = 0; c->known && i < c->n; i++) {
		if (i == c->base)
			continue;
		jw_open(j, '{');
		jw_kv_string(j, "name", c->commands[i].name);
		jw_kv_string(j, "base", c->commands[c->base].name);
		comparison_json_ratio(j, &c->ratios[i]);
		comparison_json_kinds(j, c->kinds);
		jw_close(j, '}');
	}
	jw_close(j, ']');
}
