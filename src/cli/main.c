// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "util/asuser.h"
#include "util/cleanup.h"
#include "target/filesize.h"
#include "util/nearest.h"

static const struct cli_command *const commands[] = {
	&command_plugin,
	&command_run,
	&command_compare,
	&command_stat,
	&command_top,
	&command_list,
	&command_send,
	&command_doctor,
	&command_capture,
};

static const struct cli_command *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(name, commands[i]->name) == 0)
			return commands[i];
	return NULL;
}

static void print_help(FILE *out)
{
	fputs("powermeasure: the power meter for software\n"
	      "\n"
	      "  powermeasure list                                    what can be measured here?\n"
	      "  powermeasure run -- ./infer model.bin                what does a command use?\n"
	      "  powermeasure stat -p 1234 --tree                     and a process with its children?\n"
	      "  powermeasure top                                     which process draws what?\n"
	      "  powermeasure plugin &                                take requests at port 6010\n"
	      "  powermeasure send start --pid 1234 --seconds 10 --wait\n"
	      "                                                       what does process 1234 draw?\n"
	      "\n"
	      "Commands:\n",
		out);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
	fputs("\n"
	      "`powermeasure help COMMAND` explains one. -V, --version prints the version.\n"
	      "\n"
	      "Exit status: 0 done; 1 failed; 2 wrong usage; `run` and `compare` have more.\n",
		out);
}

static int print_version(void)
{
	puts("powermeasure " PM_VERSION);
	return CLI_DONE;
}

/* For the completion of shells, and for tests. */
static int print_rows(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		opt_print_rows(commands[i]);
	for (int i = 0; i < CLI_VARIABLES; i++)
		printf("variable\t%s\n", cli_variables[i]);
	return CLI_DONE;
}

static int refuse(const char *word)
{
	struct nearest near = { .word = word };

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		nearest_try(&near, commands[i]->name);
	nearest_try(&near, "help");
	nearest_try(&near, "--help");
	nearest_try(&near, "--version");
	fprintf(stderr, "powermeasure: unknown %s: '%s'", *word == '-' ? "option" : "command",
		word);
	if (near.best)
		fprintf(stderr, "; did you mean '%s'?", near.best);
	fputs("\ntry: powermeasure --help\n", stderr);
	return CLI_USAGE;
}

/* What is opened first must not become standard input, output or error that somebody closed. A
 * command that is started finds them closed as they were. */
static void fill_standard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static bool is_word(const char *word, const char *name, const char *letter)
{
	return strcmp(word, name) == 0 || strcmp(word, letter) == 0;
}

/* "help COMMAND" is "COMMAND --help". */
static int help(int argc, char **argv)
{
	const struct cli_command *command = argc > 2 ? find(argv[2]) : NULL;

	if (argc > 2 && !command)
		return refuse(argv[2]);
	if (command)
		opt_print_help(command);
	else
		print_help(stdout);
	return CLI_DONE;
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;
	const struct cli_command *command;

	fill_standard_files();
	filesize_survive();
	asuser_raise_sensor_rights();
	if (!word) {
		print_help(stderr);
		return CLI_USAGE;
	}
	if (is_word(word, "--version", "-V"))
		return print_version();
	if (is_word(word, "--help", "-h") || strcmp(word, "help") == 0)
		return help(argc, argv);
	if (strcmp(word, "--print-options") == 0)
		return print_rows();
	command = find(word);
	return command ? command->run(argc - 1, argv + 1) : refuse(word);
}
