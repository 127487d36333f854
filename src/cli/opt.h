// SPDX-License-Identifier: MIT
/*
 * Commands and their options, a row each. What a row says is how the command line is read, what
 * --help shows, what shells complete, and what tests hold the man pages against. A row can be found
 * and set by its name alone, too, as a file of settings would.
 *
 * Names are typed whole: an abbreviation that is unique today is not when an option is added. The
 * nearest name is suggested instead.
 */
#ifndef PM_CLI_OPT_H
#define PM_CLI_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum opt_type {
	OPT_TYPE_END,     /* behind the last row */
	OPT_TYPE_HEADING, /* not an option: a line in the help */
	OPT_TYPE_FLAG,    /* bool */
	OPT_TYPE_TEXT,    /* const char *, which stays the command line's */
	OPT_TYPE_NUMBER,  /* uint64_t */
	OPT_TYPE_WORD,    /* an enum: which one of `words` */
	OPT_TYPE_CALL,    /* whatever take() makes of the text */
};

/* How a number is typed, and what is stored: the typed number * 10^decimals * factor. */
struct opt_unit {
	const char *name; /* NULL: it just counts */
	unsigned decimals;
	uint64_t factor;
};

extern const struct opt_unit opt_count, opt_millionths, opt_seconds, opt_whole_seconds,
	opt_milliseconds, opt_joules;

#define OPT_UNLIMITED UINT64_MAX

struct opt {
	enum opt_type type;
	char letter;          /* 0: none */
	const char *name;     /* without dashes */
	const char *argument; /* as help calls it; NULL: it takes none */
	size_t field;         /* where the value goes in the command's struct */
	uint64_t min, max;    /* of a number, as stored; min 1 of a text: it must not be empty */
	const struct opt_unit *unit;
	const char *const *words; /* up to NULL */
	/* Returns 0, or -errno with the reason in words in ret_why, which quotes the text. */
	int (*take)(void *field, const char *text, char *ret_why, size_t why_size);
	const char *initial; /* the value without the option, as it would be typed; help shows it */
	const char *variable; /* of the environment: the value where the option is not given */
	const char *help;     /* in the imperative, without a full stop */
	/* Bits: of the options that share one only one can be used. */
	unsigned excludes;
};

/* Where a member is, which must be of that type (the comparison, which is not made, is a warning for any
 * other), or an enum's size. */
#define OPT_AT(type_, struct_, member_) \
	(offsetof(struct_, member_) + 0 * sizeof(&((struct_ *) 0)->member_ == (type_ *) 0))
#define OPT_AT_ENUM(struct_, member_) \
	(offsetof(struct_, member_) + \
		0 * sizeof(char[1 - 2 * (sizeof(((struct_ *) 0)->member_) != sizeof(int))]))

/* The rows of a table. Behind the help may come further members, as in ".excludes = 1"; OPT_CALL's
 * field is the command's struct itself, or given there. */
#define OPT_HEADING(help_)                              \
	{                                               \
		.type = OPT_TYPE_HEADING, .help = help_ \
	}
#define OPT_FLAG(letter_, name_, struct_, member_, ...)                      \
	{                                                                    \
		.type = OPT_TYPE_FLAG, .letter = letter_, .name = name_,     \
		.field = OPT_AT(bool, struct_, member_), .help = __VA_ARGS__ \
	}
#define OPT_TEXT(letter_, name_, argument_, struct_, member_, ...)                              \
	{                                                                                       \
		.type = OPT_TYPE_TEXT, .letter = letter_, .name = name_, .argument = argument_, \
		.field = OPT_AT(const char *, struct_, member_), .help = __VA_ARGS__            \
	}
#define OPT_NUMBER(letter_, name_, argument_, struct_, member_, unit_, min_, max_, ...)           \
	{                                                                                         \
		.type = OPT_TYPE_NUMBER, .letter = letter_, .name = name_, .argument = argument_, \
		.field = OPT_AT(uint64_t, struct_, member_), .unit = &(unit_), .min = min_,       \
		.max = max_, .help = __VA_ARGS__                                                  \
	}
#define OPT_WORD(letter_, name_, argument_, struct_, member_, words_, ...)                      \
	{                                                                                       \
		.type = OPT_TYPE_WORD, .letter = letter_, .name = name_, .argument = argument_, \
		.field = OPT_AT_ENUM(struct_, member_), .words = (words_), .help = __VA_ARGS__  \
	}
#define OPT_CALL(letter_, name_, argument_, take_, ...)                                         \
	{                                                                                       \
		.type = OPT_TYPE_CALL, .letter = letter_, .name = name_, .argument = argument_, \
		.take = take_, .help = __VA_ARGS__                                              \
	}
#define OPT_END                      \
	{                            \
		.type = OPT_TYPE_END \
	}

struct cli_command {
	const char *name;
	const char *summary; /* what the user gets, for the list of commands */
	const char *usage;   /* a line each way to call it, each without "powermeasure " */
	const char *about;   /* paragraphs, each one line */
	const struct opt *options;
	const char *status; /* the exit statuses, in words */
	/* Gets the command's name as argv[0]. Returns the process's exit status. */
	int (*run)(int argc, char **argv);
};

/* The row of that name of n characters, or with that letter; NULL: there is none. --help is in every
 * table. */
const struct opt *opt_find(const struct opt *table, const char *name, size_t n);
const struct opt *opt_find_letter(const struct opt *table, char letter);

/* Sets what the row says in the command's struct; text: NULL for a flag. Returns 0, or -errno with the
 * reason in words in ret_why, which quotes the text. */
int opt_set(const struct opt *row, void *into, const char *text, char *ret_why, size_t why_size);

/* Reads a command line. */
struct opts {
	const struct cli_command *command;
	void *into;
	char **words;
	int n_words;
	int next;       /* the word that is taken next */
	int n_operands; /* after opts_take_all(): words[1] to words[n_operands] */
	bool ended;     /* by "--": only operands follow */
	uint64_t given; /* rows, by their place in the table */
	int status;     /* with which the program is to end */
};

/* Sets the rows' initial values. `into` is the command's struct and has been zeroed. */
void opts_begin(
	struct opts *o, const struct cli_command *command, int argc, char **argv, void *into);

/* Takes options up to an operand, which words[next] is then, or to the end. Returns false where the
 * program is to end: help was shown, or what is wrong has been said. */
bool opts_take(struct opts *o);

/* To be called behind the last option: checks that those that were given can be used together, and
 * takes the environment's variables for those that were not. As opts_take(). */
bool opts_finish(struct opts *o);

/* Takes all options, wherever they stand, and at most so many operands; and finishes. As
 * opts_take(). */
bool opts_take_all(struct opts *o, int max_operands);

/* Whether the option of that name was given, or its variable set. */
bool opts_given(const struct opts *o, const char *name);

/* Prints a command's help. */
void opt_print_help(const struct cli_command *command);

/* Prints a command and its rows for programs: a line each, of fields with tabs between them, "-" for an
 * empty one. "command", name, summary; and "option", command, letter, name, argument, words with bars,
 * initial value, variable, help. */
void opt_print_rows(const struct cli_command *command);

#endif
