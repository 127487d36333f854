// SPDX-License-Identifier: MIT
/*
 * All of it once, on the machine that it is on: starts the plugin and a load, sends a real event
 * over a real socket, and shows the result. It is what ./run does.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/demo/follow.h"
#include "cli/send/sender.h"
#include "machine/clock.h"
#include "daemon/lock.h"
#include "daemon/waiter.h"
#include "meter/power.h"
#include "util/cleanup.h"
#include "util/format.h"
#include "util/parse.h"
#include "util/timestamp.h"

#define DEFAULT_SECONDS 10
#define READY_NS (20 * NS_PER_S)
#define LIVE_EVERY_NS (500 * NS_PER_MS)
#define ENDING_GRACE_NS (10 * NS_PER_S)

static const char help[] =
	"usage: powermeasure demo [--seconds N] [--log-dir DIR] [OPTIONS]\n"
	"\n"
	"Starts the plugin and a process that keeps half a CPU busy, asks for the power of both for\n"
	"10 s with a real event, and shows what was measured. It is what ./run does.\n"
	"\n"
	"  --seconds N        how long (default: 10)\n"
	"  --log-dir DIR      default: $TRAPS_POWER_LOG_PATH, else ~/logs\n"
	"\n" CLI_SENSOR_HELP "\n"
	"Exit status: 0 done, 1 failed, 2 wrong usage.\n";

enum { OPT_SECONDS = CLI_OPT_NEXT, OPT_LOG_DIR };

static const struct option options[] = {
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "log-dir", required_argument, NULL, OPT_LOG_DIR },
	{ "help", no_argument, NULL, 'h' },
	CLI_SENSOR_OPTIONS,
	{ 0 },
};

#define N_PROCESSES 2

struct demo {
	uint32_t seconds;
	char log_dir[4096];
	char record[4400];
	char address[256];
	const char *plugin_args[32]; /* sensor options, handed on */
	size_t n_plugin_args;
	pid_t plugin;
	int plugin_log; /* what the plugin says */
	pid_t worker;
	struct figures figures;
};

/* ---- the children ----------------------------------------------------------------------- */

static void nap(uint64_t ns)
{
	struct timespec ts = { .tv_nsec = (long) ns };

	nanosleep(&ts, NULL);
}

static void work_for_ever(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "half-a-core");
	for (;;) {
		uint64_t until_ns = clock_mono_ns(&clock_system) + 5 * NS_PER_MS;

		while (clock_mono_ns(&clock_system) < until_ns)
			;
		nap(5 * NS_PER_MS);
	}
}

/* Not by execve(): a program file with capabilities, which is how `list` says to get at the
 * sensors, would forget there that it is to end with its parent. */
static void be_plugin(const struct demo *d, int log_fd)
{
	const char *args[ARRAY_SIZE(d->plugin_args) + 16] = { "plugin", "--listen",
		"tcp://127.0.0.1:*", "--log-dir", d->log_dir, "--record", d->record };
	size_t n = 7;

	for (size_t i = 0; i < d->n_plugin_args; i++)
		args[n++] = d->plugin_args[i];
	args[n] = NULL;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	dup2(log_fd, STDERR_FILENO);
	optind = 0; /* read a command line from its begin */
	_exit(command_plugin.run((int) n, (char **) (uintptr_t) args));
}

static int start_children(struct demo *d)
{
	int pipe_fds[2];

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -errno;
	d->plugin = fork();
	if (d->plugin == 0) {
		close(pipe_fds[0]);
		be_plugin(d, pipe_fds[1]);
	}
	close(pipe_fds[1]);
	d->plugin_log = pipe_fds[0];
	d->worker = fork();
	if (d->worker == 0)
		work_for_ever();
	return d->plugin < 0 || d->worker < 0 ? -errno : 0;
}

/* Reads what the plugin says until it listens. Its warnings are shown, for they tell what is
 * missing on this machine. */
static bool await_plugin(struct demo *d)
{
	static const char listening[] = "listening at ";
	uint64_t until_ns = clock_mono_ns(&clock_system) + READY_NS;
	char text[4096];
	size_t len = 0;

	for (;;) {
		struct pollfd item = { .fd = d->plugin_log, .events = POLLIN };
		uint64_t now_ns = clock_mono_ns(&clock_system);
		char *end;
		ssize_t n;

		if (now_ns >= until_ns ||
			poll(&item, 1, (int) ((until_ns - now_ns) / NS_PER_MS)) < 0)
			return false;
		n = read(d->plugin_log, text + len, sizeof(text) - 1 - len);
		if (n <= 0)
			return false;
		len += (size_t) n;
		text[len] = '\0';
		while ((end = strchr(text, '\n'))) {
			const char *at;

			*end = '\0';
			if (strstr(text, " WARN: ") || strstr(text, " ERROR: "))
				printf("%s\n", text);
			at = strstr(text, listening);
			if (at) {
				snprintf(d->address, sizeof(d->address), "%s",
					at + sizeof(listening) - 1);
				return true;
			}
			len -= (size_t) (end + 1 - text);
			memmove(text, end + 1, len + 1);
		}
		if (len == sizeof(text) - 1)
			len = 0;
	}
}

static void end_children(struct demo *d)
{
	if (d->worker > 0) {
		kill(d->worker, SIGKILL);
		waitpid(d->worker, NULL, 0);
	}
	if (d->plugin > 0) {
		kill(d->plugin, SIGTERM);
		waitpid(d->plugin, NULL, 0);
	}
	close_fd(&d->plugin_log);
	figures_close(&d->figures);
}

/* ---- what is shown ---------------------------------------------------------------------- */

static void show_live(const struct figures *f, uint64_t begun_ns)
{
	char watts[32];

	printf("\r\033[K%4.1f s", (double) (clock_mono_ns(&clock_system) - begun_ns) / 1e9);
	for (size_t i = 0; i < f->n_processes; i++) {
		format_micro(f->processes[i].last_uw, watts, sizeof(watts));
		if (f->processes[i].n > 0)
			printf("   %s %s W", f->processes[i].name, watts);
	}
	if (f->gpu_ns) {
		format_micro(f->gpu_last_uw, watts, sizeof(watts));
		printf("   GPU %s W", watts);
	}
	fflush(stdout);
}

static void show_table(const struct figures *f)
{
	bool estimated = strcmp(f->quality, "ESTIMATED") == 0;
	bool simulated = rig_is_simulated(f->sensor);
	char gpu[32] = "-";

	if (f->gpu_ns)
		format_micro(power_uw(f->gpu_uj, f->gpu_ns), gpu, sizeof(gpu));
	printf("%8s  %-15s %10s %9s %9s %10s %10s  %s\n", "pid", "name", "CPU mean W", "min W",
		"max W", "CPU J", "GPU W", "source");
	for (size_t i = 0; i < f->n_processes; i++) {
		const struct process_figures *p = &f->processes[i];
		char mean[32], low[32], high[32], joules[32];

		format_micro(power_uw(p->uj, p->ns), mean, sizeof(mean));
		format_micro(p->min_uw, low, sizeof(low));
		format_micro(p->max_uw, high, sizeof(high));
		format_micro(p->uj, joules, sizeof(joules));
		printf("%8d  %-15s %10s %9s %9s %10s %10s  %s, %s\n", (int) p->pid, p->name, mean,
			low, high, joules, gpu, f->sensor,
			simulated           ? "SIMULATED"
				: estimated ? "ESTIMATED"
					    : "measured");
	}
	if (f->gpu_ns)
		printf("GPU W is the whole device's.\n");
	if (simulated)
		printf("SIMULATED: the figures are made up, as --sensors asked for.\n");
	if (estimated)
		printf("ESTIMATED: there is no power sensor that can be read here, so the figures come "
		       "from a model\n(%s). `powermeasure list` says what would help.\n",
			f->model);
}

static void show_files(const struct demo *d)
{
	static const char *const names[] = { "CPU.json", "GPU.json", "sources.json" };

	printf("\nWritten:\n");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		printf("  %s/%s\n", d->log_dir, names[i]);
	printf("  %s\n", d->record);
}

/* ---- the course of it ------------------------------------------------------------------- */

static int send_event(const struct demo *d, const char *created)
{
	int32_t pids[N_PROCESSES] = { d->worker, d->plugin };
	int8_t type = 0;
	struct wire_event event = { .type = WIRE_MONITOR_START,
		.create_ts = { created, strlen(created) },
		.pids = pids,
		.n_pids = N_PROCESSES,
		.types = &type,
		.n_types = 1,
		.seconds = d->seconds };

	return sender_send("demo", d->address, &event);
}

/* Waits for both processes' totals, showing figures meanwhile where somebody looks. */
static bool await_endings(struct demo *d, int waiter_fd, char endings[N_PROCESSES][1024])
{
	uint64_t begun_ns = clock_mono_ns(&clock_system);
	uint64_t until_ns = begun_ns + d->seconds * NS_PER_S + ENDING_GRACE_NS;
	bool live = isatty(STDOUT_FILENO);
	size_t n = 0;

	while (n < N_PROCESSES) {
		uint64_t now_ns = clock_mono_ns(&clock_system);
		char text[1024];
		const char *ended;

		if (now_ns >= until_ns)
			return false;
		if (sender_hear(waiter_fd, now_ns + LIVE_EVERY_NS, text, sizeof(text))) {
			ended = sender_word(text, WAITER_ENDED);
			if (ended)
				snprintf(endings[n++], 1024, "%s", ended);
			continue;
		}
		if (!live)
			continue;
		figures_read(&d->figures);
		show_live(&d->figures, begun_ns);
	}
	if (live)
		printf("\r\033[K");
	return true;
}

/* Takes a directory of its own if another plugin writes to the usual one. */
static int choose_log_dir(struct demo *d)
{
	char why[4400], stamp[TIMESTAMP_MAX];
	int fd = lock_log_dir(d->log_dir, why, sizeof(why));
	size_t len;

	timestamp_utc_naive(clock_wall_ns(&clock_system), stamp, sizeof(stamp));
	if (fd == -EWOULDBLOCK) {
		len = strlen(d->log_dir);
		snprintf(d->log_dir + len, sizeof(d->log_dir) - len, "/demo-%s", stamp);
		printf("%s.\nThis run writes to %s instead.\n", why, d->log_dir);
		fd = lock_log_dir(d->log_dir, why, sizeof(why));
	}
	if (fd < 0)
		return cli_fail("demo", "%s", why);
	close(fd);
	snprintf(d->record, sizeof(d->record), "%s/record-%s.jsonl", d->log_dir, stamp);
	return CLI_DONE;
}

static int measure(struct demo *d)
{
	char created[TIMESTAMP_MAX], endings[N_PROCESSES][1024];
	CLEANUP_FD int waiter_fd = sender_bind_waiter(created, sizeof(created));
	int r;

	if (waiter_fd < 0)
		return cli_fail("demo", "cannot wait for the plugin: %s", strerror(-waiter_fd));
	if (!await_plugin(d))
		return cli_fail("demo", "the plugin did not start; what it said is above");
	figures_open(&d->figures, d->record, (pid_t[]) { d->worker, d->plugin }, N_PROCESSES);
	printf("The plugin (pid %d) takes events at %s.\n"
	       "Sending it: measure pid %d, which keeps half a CPU busy, and pid %d, the plugin "
	       "itself, for %u s.\n",
		(int) d->plugin, d->address, (int) d->worker, (int) d->plugin, d->seconds);
	fflush(stdout);
	r = send_event(d, created);
	if (r != CLI_DONE)
		return r;
	if (!await_endings(d, waiter_fd, endings))
		return cli_fail("demo", "the plugin did not tell the end");
	figures_read(&d->figures);
	figures_finish(&d->figures);
	putchar('\n');
	show_table(&d->figures);
	printf("\nThe totals with their likely range:\n");
	for (size_t i = 0; i < N_PROCESSES; i++)
		printf("  %s\n", endings[i]);
	show_files(d);
	return CLI_DONE;
}

/* The sensor options go on to the plugin as they were given. */
static void hand_on(struct demo *d, int option, const char *argument)
{
	static const char *const names[] = { [CLI_OPT_ROOT - CLI_OPT_ROOT] = "--root",
		[CLI_OPT_SENSORS - CLI_OPT_ROOT] = "--sensors",
		[CLI_OPT_GPU - CLI_OPT_ROOT] = "--gpu",
		[CLI_OPT_ESTIMATE_WATTS - CLI_OPT_ROOT] = "--estimate-watts" };

	if (d->n_plugin_args + 2 > ARRAY_SIZE(d->plugin_args))
		return;
	d->plugin_args[d->n_plugin_args++] = names[option - CLI_OPT_ROOT];
	d->plugin_args[d->n_plugin_args++] = argument;
}

int cmd_demo(int argc, char **argv)
{
	struct demo d = { .seconds = DEFAULT_SECONDS, .plugin_log = -1 };
	struct cli_sensors sensors = { 0 };
	char buffer[4096];
	const char *log_dir = cli_default_log_dir(buffer, sizeof(buffer));
	int option, r = CLI_DONE;
	uint64_t number;

	while (r == CLI_DONE &&
		(option = cli_next_option("demo", argc, argv, "+:h", options)) != -1) {
		switch (option) {
		case 'h':
			fputs(help, stdout);
			return CLI_DONE;
		case OPT_SECONDS:
			if (parse_u64(optarg, &number) < 0 || number == 0 || number > 86400)
				r = cli_usage(
					"demo", "--seconds: \"%s\" is not 1 to 86400", optarg);
			else
				d.seconds = (uint32_t) number;
			break;
		case OPT_LOG_DIR:
			log_dir = optarg;
			if (!*log_dir)
				r = cli_usage("demo", "--log-dir: the name is empty");
			break;
		case CLI_OPT_BAD:
			r = CLI_USAGE;
			break;
		default:
			r = cli_take_sensor_option(&sensors, "demo", option, optarg);
			hand_on(&d, option, optarg);
		}
	}
	if (r == CLI_DONE && optind < argc)
		r = cli_usage("demo", "\"%s\" is no option", argv[optind]);
	if (r != CLI_DONE)
		return r;
	if (!log_dir)
		return cli_fail("demo", "there is no home directory for the logs: use --log-dir");
	snprintf(d.log_dir, sizeof(d.log_dir), "%s", log_dir);
	r = choose_log_dir(&d);
	if (r == CLI_DONE && start_children(&d) < 0)
		r = cli_fail("demo", "cannot start a process: %s", strerror(errno));
	if (r == CLI_DONE)
		r = measure(&d);
	end_children(&d);
	return r;
}
