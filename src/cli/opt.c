// SPDX-License-Identifier: MIT
#include "cli/opt.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "util/nearest.h"
#include "util/parse.h"

const struct opt_unit opt_count = { .factor = 1 };
const struct opt_unit opt_millionths = { .decimals = 6, .factor = 1 };
const struct opt_unit opt_seconds = { .name = "seconds", .decimals = 9, .factor = 1 };
const struct opt_unit opt_whole_seconds = { .name = "seconds", .factor = NS_PER_S };
const struct opt_unit opt_milliseconds = { .name = "milliseconds", .factor = NS_PER_MS };
const struct opt_unit opt_joules = { .name = "joules", .decimals = 6, .factor = 1 };

static const struct opt help_row = {
	.type = OPT_TYPE_FLAG, .letter = 'h', .name = "help", .help = "show this help"
};

/* ---- rows -------------------------------------------------------------------------------- */

static bool is_option(const struct opt *row)
{
	return row->type != OPT_TYPE_HEADING;
}

const struct opt *opt_find(const struct opt *table, const char *name, size_t n)
{
	for (const struct opt *row = table; row->type != OPT_TYPE_END; row++)
		if (is_option(row) && strlen(row->name) == n && strncmp(row->name, name, n) == 0)
			return row;
	return n == strlen(help_row.name) && strncmp(help_row.name, name, n) == 0 ? &help_row
										  : NULL;
}

const struct opt *opt_find_letter(const struct opt *table, char letter)
{
	for (const struct opt *row = table; row->type != OPT_TYPE_END; row++)
		if (letter && row->letter == letter)
			return row;
	return letter == help_row.letter ? &help_row : NULL;
}

/* ---- values ------------------------------------------------------------------------------ */

/* A limit as it would be typed. */
static void format_limit(uint64_t value, const struct opt_unit *unit, char *ret, size_t n)
{
	uint64_t typed = value / unit->factor, one = 1;
	int digits = (int) unit->decimals;

	for (int i = 0; i < digits; i++)
		one *= 10;
	if (typed % one == 0) {
		snprintf(ret, n, "%" PRIu64, typed / one);
		return;
	}
	snprintf(ret, n, "%" PRIu64 ".%0*" PRIu64, typed / one, digits, typed % one);
	for (char *end = ret + strlen(ret) - 1; *end == '0'; end--)
		*end = '\0';
}

static int set_number(
	const struct opt *row, uint64_t *ret, const char *text, char *ret_why, size_t why_size)
{
	const struct opt_unit *unit = row->unit;
	char min[32], max[32], limits[80];
	uint64_t number;
	int r = unit->decimals ? parse_fixed(text, unit->decimals, &number)
			       : parse_u64(text, &number);

	if (r == 0 && number <= row->max / unit->factor && number * unit->factor >= row->min) {
		*ret = number * unit->factor;
		return 0;
	}
	format_limit(row->min, unit, min, sizeof(min));
	format_limit(row->max, unit, max, sizeof(max));
	if (row->max == OPT_UNLIMITED)
		snprintf(limits, sizeof(limits), "of at least %s", min);
	else
		snprintf(limits, sizeof(limits), "from %s to %s", min, max);
	snprintf(ret_why, why_size, "not a %snumber%s%s %s: '%s'", unit->decimals ? "" : "whole ",
		unit->name ? " of " : "", unit->name ? unit->name : "", limits, text);
	return -EINVAL;
}

static int set_word(
	const struct opt *row, int *ret, const char *text, char *ret_why, size_t why_size)
{
	size_t n = 0;

	for (int i = 0; row->words[i]; i++)
		if (strcmp(row->words[i], text) == 0) {
			*ret = i;
			return 0;
		}
	n += (size_t) snprintf(ret_why, why_size, "not one of ");
	for (int i = 0; row->words[i] && n < why_size; i++)
		n += (size_t) snprintf(
			ret_why + n, why_size - n, "%s%s", i ? ", " : "", row->words[i]);
	if (n < why_size)
		snprintf(ret_why + n, why_size - n, ": '%s'", text);
	return -EINVAL;
}

int opt_set(const struct opt *row, void *into, const char *text, char *ret_why, size_t why_size)
{
	void *field = (char *) into + row->field;

	switch (row->type) {
	case OPT_TYPE_FLAG:
		*(bool *) field = true;
		return 0;
	case OPT_TYPE_TEXT:
		if (row->min > 0 && !*text) {
			snprintf(ret_why, why_size, "the value is empty");
			return -EINVAL;
		}
		*(const char **) field = text;
		return 0;
	case OPT_TYPE_NUMBER:
		return set_number(row, field, text, ret_why, why_size);
	case OPT_TYPE_WORD:
		return set_word(row, field, text, ret_why, why_size);
	case OPT_TYPE_CALL:
		return row->take(field, text, ret_why, why_size);
	case OPT_TYPE_END:
	case OPT_TYPE_HEADING:
		break;
	}
	return -EINVAL;
}

/* ---- the command line -------------------------------------------------------------------- */

void opts_begin(
	struct opts *o, const struct cli_command *command, int argc, char **argv, void *into)
{
	char why[8];

	*o = (struct opts) { .command = command,
		.into = into,
		.words = argv,
		.n_words = argc,
		.next = 1,
		.status = CLI_DONE };
	for (const struct opt *row = command->options; row->type != OPT_TYPE_END; row++)
		if (row->initial && opt_set(row, into, row->initial, why, sizeof(why)) < 0)
			abort(); /* the table itself is wrong */
}

static bool refuse(struct opts *o, int status)
{
	o->status = status;
	return false;
}

static bool refuse_unknown(struct opts *o, const char *name, size_t n)
{
	char typed[40];
	struct nearest near = { .word = typed };

	snprintf(typed, sizeof(typed), "%.*s", (int) n, name);
	for (const struct opt *row = o->command->options; row->type != OPT_TYPE_END; row++)
		if (is_option(row))
			nearest_try(&near, row->name);
	nearest_try(&near, help_row.name);
	if (!near.best)
		return refuse(
			o, cli_usage(o->command->name, "unknown option: '--%.*s'", (int) n, name));
	return refuse(o,
		cli_usage(o->command->name, "unknown option: '--%.*s'; did you mean '--%s'?",
			(int) n, name, near.best));
}

/* typed: the option as the user wrote it. */
static bool take_row(struct opts *o, const struct opt *row, const char *typed, const char *text)
{
	char why[512];

	if (row == &help_row) {
		opt_print_help(o->command);
		return refuse(o, CLI_DONE);
	}
	if (opt_set(row, o->into, text, why, sizeof(why)) < 0)
		return refuse(o, cli_usage(o->command->name, "%s: %s", typed, why));
	o->given |= UINT64_C(1) << (row - o->command->options);
	return true;
}

/* The next word as an option's value. */
static bool take_value(struct opts *o, const struct opt *row, const char *typed)
{
	if (o->next == o->n_words)
		return refuse(o, cli_usage(o->command->name, "%s needs a value", typed));
	return take_row(o, row, typed, o->words[o->next++]);
}

/* "--name", "--name value" or "--name=value". */
static bool take_name(struct opts *o, const char *name)
{
	size_t n = strcspn(name, "=");
	const char *value = name[n] == '=' ? name + n + 1 : NULL;
	const struct opt *row = opt_find(o->command->options, name, n);
	char typed[40];

	if (!row)
		return refuse_unknown(o, name, n);
	snprintf(typed, sizeof(typed), "--%s", row->name);
	if (value && !row->argument)
		return refuse(o, cli_usage(o->command->name, "%s takes no value", typed));
	if (value || !row->argument)
		return take_row(o, row, typed, value);
	return take_value(o, row, typed);
}

/* "-abc": flags, and perhaps one at the end that takes a value, "-n 5" or "-n5". */
static bool take_letters(struct opts *o, const char *letters)
{
	for (; *letters; letters++) {
		const struct opt *row = opt_find_letter(o->command->options, *letters);
		const char typed[] = { '-', *letters, '\0' };

		if (!row)
			return refuse(
				o, cli_usage(o->command->name, "unknown option: '%s'", typed));
		if (row->argument)
			return letters[1] ? take_row(o, row, typed, letters + 1)
					  : take_value(o, row, typed);
		if (!take_row(o, row, typed, NULL))
			return false;
	}
	return true;
}

bool opts_take(struct opts *o)
{
	bool go_on = true;

	while (go_on && !o->ended && o->next < o->n_words) {
		const char *word = o->words[o->next];

		if (word[0] != '-' || word[1] == '\0')
			break;
		o->next++;
		if (strcmp(word, "--") == 0)
			o->ended = true;
		else
			go_on = word[1] == '-' ? take_name(o, word + 2) : take_letters(o, word + 1);
	}
	return go_on;
}

static bool was_given(const struct opts *o, const struct opt *row)
{
	return o->given >> (row - o->command->options) & 1;
}

static bool agree(struct opts *o)
{
	for (const struct opt *a = o->command->options; a->type != OPT_TYPE_END; a++)
		for (const struct opt *b = o->command->options; b < a; b++)
			if (was_given(o, a) && was_given(o, b) && a->excludes & b->excludes)
				return refuse(o,
					cli_usage(o->command->name,
						"--%s and --%s cannot be used together", b->name,
						a->name));
	return true;
}

static bool take_variables(struct opts *o)
{
	for (const struct opt *row = o->command->options; row->type != OPT_TYPE_END; row++) {
		const char *value = row->variable ? cli_env(row->variable) : NULL;

		if (value && !was_given(o, row) && !take_row(o, row, row->variable, value))
			return false;
	}
	return true;
}

bool opts_finish(struct opts *o)
{
	return agree(o) && take_variables(o);
}

bool opts_take_all(struct opts *o, int max_operands)
{
	while (opts_take(o)) {
		if (o->next == o->n_words)
			return opts_finish(o);
		if (o->n_operands == max_operands)
			return refuse(o,
				cli_usage(o->command->name, "unexpected argument: '%s'",
					o->words[o->next]));
		o->words[++o->n_operands] = o->words[o->next++];
	}
	return false;
}

bool opts_given(const struct opts *o, const char *name)
{
	const struct opt *row = opt_find(o->command->options, name, strlen(name));

	return row && row != &help_row && was_given(o, row);
}
