// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "util/cleanup.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary; /* NULL: not shown */
} commands[] = {
	{ "plugin", cmd_plugin, "measure what events ask for, and log it" },
	{ "run", cmd_run, "run a command and tell what it used" },
	{ "compare", cmd_compare, "whether commands use more or less than they did" },
	{ "stat", cmd_stat, "measure processes, control groups or the machine" },
	{ "top", cmd_top, "show the machine and its processes by watts, live" },
	{ "list", cmd_list, "show every sensor: usable or not, why, and what would help" },
	{ "send", cmd_send, "send an event: start, stop or terminate" },
	{ "doctor", cmd_doctor, "what is wrong, how to change it, and what that would give" },
	{ "capture", cmd_capture, "copy what the sensors read here, to be shown elsewhere" },
	{ "demo", cmd_demo, "all of it once: plugin, load, event, result" },
};

static void print_help(FILE *out)
{
	fputs("powermeasure: the power meter for software\n"
	      "\n"
	      "  powermeasure list                                    what can be measured here?\n"
	      "  powermeasure run -- ./infer model.bin                what does a command use?\n"
	      "  powermeasure stat -p 1234 --tree                     and a process with its children?\n"
	      "  powermeasure top                                     who draws what, just now?\n"
	      "  powermeasure plugin &                                take requests at port 6010\n"
	      "  powermeasure send start --pid 1234 --seconds 10 --wait\n"
	      "                                                       what does process 1234 draw?\n"
	      "\n"
	      "Commands:\n",
		out);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].summary);
	fputs("\nEach has a --help of its own. `powermeasure --version` tells the version.\n", out);
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

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;

	fill_standard_files();
	if (!name) {
		print_help(stderr);
		return CLI_USAGE;
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
		print_help(stdout);
		return CLI_DONE;
	}
	if (strcmp(name, "--version") == 0) {
		puts("powermeasure " PM_VERSION);
		return CLI_DONE;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(name, commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "powermeasure: there is no %s \"%s\"; the commands are",
		*name == '-' ? "option" : "command", name);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(stderr, "%s %s", i ? "," : "", commands[i].name);
	fputs("\ntry: powermeasure --help\n", stderr);
	return CLI_USAGE;
}
