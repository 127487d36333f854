// SPDX-License-Identifier: MIT
/*
 * Options as people and programs read them.
 */
#include <stdio.h>
#include <string.h>

#include "cli/opt.h"

#define WIDTH 80
#define TEXT_COLUMN 25 /* where an option's help begins */

/* Prints words, from the given column on, with lines that begin at another. */
static void print_wrapped(const char *text, size_t column, size_t begin)
{
	bool fresh = true; /* nothing is on the line yet */

	while (*text) {
		size_t n = strcspn(text, " ");

		if (!fresh && column + 1 + n > WIDTH) {
			printf("\n%*s", (int) begin, "");
			column = begin;
			fresh = true;
		}
		printf("%s%.*s", fresh ? "" : " ", (int) n, text);
		column += n + !fresh;
		fresh = false;
		text += n + (text[n] == ' ');
	}
	putchar('\n');
}

static void print_paragraphs(const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");
		char line[1024];

		snprintf(line, sizeof(line), "%.*s", (int) n, text);
		putchar('\n');
		print_wrapped(line, 0, 0);
		text += n + (text[n] == '\n');
	}
}

static void print_usage(const char *usage)
{
	const char *before = "usage:";

	while (*usage) {
		size_t n = strcspn(usage, "\n");

		printf("%s powermeasure %.*s\n", before, (int) n, usage);
		before = "      ";
		usage += n + (usage[n] == '\n');
	}
}

static void print_option(const struct opt *row)
{
	char text[1024];
	int n = row->letter ? printf("  -%c, --%s", row->letter, row->name)
			    : printf("      --%s", row->name);

	if (row->argument)
		n += printf(" %s", row->argument);
	if (n + 2 > TEXT_COLUMN) {
		putchar('\n');
		n = 0;
	}
	printf("%*s", TEXT_COLUMN - n, "");
	snprintf(text, sizeof(text), "%s%s%s%s", row->help, row->initial ? " [" : "",
		row->initial ? row->initial : "", row->initial ? "]" : "");
	print_wrapped(text, TEXT_COLUMN, TEXT_COLUMN);
}

void opt_print_help(const struct cli_command *command)
{
	const struct opt *row = command->options;
	char status[512];

	print_usage(command->usage);
	print_paragraphs(command->about);
	if (row->type != OPT_TYPE_HEADING)
		putchar('\n');
	for (; row->type != OPT_TYPE_END; row++)
		if (row->type == OPT_TYPE_HEADING)
			printf("\n%s:\n", row->help);
		else
			print_option(row);
	snprintf(status, sizeof(status), "Exit status: %s.", command->status);
	print_paragraphs(status);
}

/* A field that shells can read: an empty one would be none to them. */
static void print_field(const char *text)
{
	printf("\t%s", text && *text ? text : "-");
}

static void print_words(const char *const *words)
{
	print_field(words ? words[0] : NULL);
	for (size_t i = 1; words && words[i]; i++)
		printf("|%s", words[i]);
}

static void print_row(const struct cli_command *command, const struct opt *row)
{
	const char letter[] = { row->letter, '\0' };

	printf("option\t%s", command->name);
	print_field(letter);
	print_field(row->name);
	print_field(row->argument);
	print_words(row->words);
	print_field(row->initial);
	print_field(row->variable);
	print_field(row->help);
	putchar('\n');
}

void opt_print_rows(const struct cli_command *command)
{
	printf("command\t%s\t%s\n", command->name, command->summary);
	for (const struct opt *row = command->options; row->type != OPT_TYPE_END; row++)
		if (row->type != OPT_TYPE_HEADING)
			print_row(command, row);
}
