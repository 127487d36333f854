// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/send/sender.h"
#include "daemon/waiter.h"
#include "events/event.h"
#include "util/cleanup.h"
#include "util/parse.h"
#include "util/timestamp.h"

#define ENDING_GRACE_NS (10 * NS_PER_S)
#define DEFAULT_SECONDS 10
#define DEFAULT_NAME "ext_power_monitor_plugin"

static const char help[] =
	"usage: powermeasure send start --pid N [OPTIONS]\n"
	"       powermeasure send stop --pid N [--to ADDRESS]\n"
	"       powermeasure send terminate [--name NAME] [--to ADDRESS]\n"
	"\n"
	"  --to ADDRESS       a plugin that listens, or an event engine's port for one of its\n"
	"                     plugins (default: tcp://127.0.0.1:6010, or the environment's)\n"
	"  --pid N            a process (may be given again)\n"
	"  --type WHAT        all, cpu, gpu, dram or a number (may be given again; default: 0,\n"
	"                     CPU and GPU)\n"
	"  --monitor-types readme|events\n"
	"                     how the receiver numbers these\n"
	"  --seconds N        how long; 0: until stopped (default: 10)\n"
	"  --at TIME          when to begin: RFC 3339, or without an offset in UTC, or +SECONDS\n"
	"  --wait             wait for the end and print what each process used (same machine)\n"
	"  --name NAME, --uuid UUID\n"
	"                     whom to terminate (default: the power plugin; * is everybody)\n"
	"\n"
	"Exit status: 0 done, 1 refused (the reason is printed) or no answer, 2 wrong usage.\n";

enum {
	OPT_TO = CLI_OPT_NEXT,
	OPT_PID,
	OPT_TYPE,
	OPT_MONITOR_TYPES,
	OPT_SECONDS,
	OPT_AT,
	OPT_WAIT,
	OPT_NAME,
	OPT_UUID,
};

static const struct option options[] = {
	{ "to", required_argument, NULL, OPT_TO },
	{ "pid", required_argument, NULL, OPT_PID },
	{ "type", required_argument, NULL, OPT_TYPE },
	{ "monitor-types", required_argument, NULL, OPT_MONITOR_TYPES },
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "at", required_argument, NULL, OPT_AT },
	{ "wait", no_argument, NULL, OPT_WAIT },
	{ "name", required_argument, NULL, OPT_NAME },
	{ "uuid", required_argument, NULL, OPT_UUID },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

#define MAX_TYPES 16
/* More than a plugin takes, so that it is the one to refuse. */
#define MAX_PIDS 4096

struct send_options {
	const char *to;
	int32_t pids[MAX_PIDS];
	size_t n_pids;
	const char *type_names[MAX_TYPES];
	size_t n_type_names;
	enum monitor_types numbering;
	uint32_t seconds;
	const char *at;
	bool wait;
	const char *name;
	const char *uuid;
};

static int take_option(struct send_options *q, int option, const char *argument)
{
	uint64_t number;
	int64_t pid;

	switch (option) {
	case OPT_TO:
		q->to = argument;
		return CLI_DONE;
	case OPT_PID:
		if (parse_i64(argument, &pid) < 0 || pid < INT32_MIN || pid > INT32_MAX)
			return cli_usage("send",
				"--pid: \"%s\" is no number; give --pid again for each process",
				argument);
		if (q->n_pids == MAX_PIDS)
			return cli_usage("send", "--pid: more than %d", MAX_PIDS);
		q->pids[q->n_pids++] = (int32_t) pid;
		return CLI_DONE;
	case OPT_TYPE:
		if (q->n_type_names == MAX_TYPES)
			return cli_usage("send", "--type: more than %d", MAX_TYPES);
		q->type_names[q->n_type_names++] = argument;
		return CLI_DONE;
	case OPT_MONITOR_TYPES:
		if (!cli_monitor_types(argument, &q->numbering))
			return cli_usage("send",
				"--monitor-types: \"%s\" is neither readme nor events", argument);
		return CLI_DONE;
	case OPT_SECONDS:
		if (parse_u64(argument, &number) < 0 || number > UINT32_MAX)
			return cli_usage("send", "--seconds: \"%s\" is no whole number of seconds",
				argument);
		q->seconds = (uint32_t) number;
		return CLI_DONE;
	case OPT_AT:
		q->at = argument;
		return CLI_DONE;
	case OPT_WAIT:
		q->wait = true;
		return CLI_DONE;
	case OPT_NAME:
		q->name = argument;
		return CLI_DONE;
	case OPT_UUID:
		q->uuid = argument;
		return CLI_DONE;
	}
	return CLI_USAGE;
}

static struct wire_text text_of(const char *s)
{
	return (struct wire_text) { s, strlen(s) };
}

/* "+5" becomes a time; anything else goes as it stands, for the receiver to judge. */
static int settle_start(const char *at, char *ret, size_t n)
{
	uint64_t delay_us;

	if (*at != '+') {
		snprintf(ret, n, "%s", at);
		return CLI_DONE;
	}
	if (parse_fixed(at + 1, 6, &delay_us) < 0 || delay_us > UINT64_C(1000000000000000))
		return cli_usage("send", "--at: \"%s\" is not +SECONDS", at);
	timestamp_utc_naive(
		clock_wall_ns(&clock_system) + (int64_t) (delay_us * NS_PER_US), ret, n);
	return CLI_DONE;
}

static int settle_types(const struct send_options *q, int8_t *ret, size_t *ret_n)
{
	*ret_n = 0;
	if (q->n_type_names == 0)
		ret[(*ret_n)++] = 0;
	for (size_t i = 0; i < q->n_type_names; i++) {
		int n = monitor_type_parse(q->type_names[i], q->numbering, ret + *ret_n);

		if (n < 0)
			return cli_usage("send",
				"--type: \"%s\" is none of all, cpu, gpu, dram, a number",
				q->type_names[i]);
		*ret_n += (size_t) n;
	}
	return CLI_DONE;
}

static int await_endings(int fd, uint64_t delay_ns, uint32_t seconds)
{
	uint64_t until_ns = clock_mono_ns(&clock_system) + SENDER_REPLY_NS;
	uint64_t n_expected = 0, n_ended = 0;
	bool accepted = false;
	char text[1024];

	while (!accepted || n_ended < n_expected) {
		const char *rest;

		if (!sender_hear(fd, until_ns, text, sizeof(text)))
			return cli_fail("send", "%s",
				accepted
					? "the plugin did not tell the end: is it still running? "
					  "Its log has what it measured"
					: "published, but no plugin on this machine took the event; "
					  "if one runs elsewhere, its log has the result");
		if ((rest = sender_word(text, WAITER_REFUSED)))
			return cli_fail("send", "refused: %s", rest);
		if ((rest = sender_word(text, WAITER_ACCEPTED)) &&
			parse_u64(rest, &n_expected) == 0) {
			accepted = true;
			until_ns = seconds == 0 ? UINT64_MAX
						: clock_mono_ns(&clock_system) + delay_ns +
					seconds * NS_PER_S + ENDING_GRACE_NS;
		} else if ((rest = sender_word(text, WAITER_ENDED))) {
			n_ended++;
			puts(rest);
			fflush(stdout);
		}
	}
	return CLI_DONE;
}

static int send_start(struct send_options *q)
{
	char created[TIMESTAMP_MAX], start[REQUEST_TS_MAX] = "";
	CLEANUP_FD int fd = -1;
	int8_t types[MAX_TYPES * 3];
	size_t n_types;
	struct wire_event event = { .type = WIRE_MONITOR_START,
		.pids = q->pids,
		.n_pids = q->n_pids,
		.seconds = q->seconds };
	int64_t start_ns = 0, now_ns = clock_wall_ns(&clock_system);
	int r;

	r = settle_types(q, types, &n_types);
	if (r == CLI_DONE && q->at)
		r = settle_start(q->at, start, sizeof(start));
	if (r != CLI_DONE)
		return r;
	timestamp_utc_naive(now_ns, created, sizeof(created));
	if (q->wait) {
		fd = sender_bind_waiter(created, sizeof(created));
		if (fd < 0)
			return cli_fail("send", "cannot wait: %s", strerror(-fd));
	}
	event.create_ts = text_of(created);
	event.start_ts = text_of(start);
	event.types = types;
	event.n_types = n_types;
	r = sender_send("send", q->to, &event);
	if (r != CLI_DONE || !q->wait)
		return r;
	timestamp_parse(start, strlen(start), &start_ns);
	return await_endings(
		fd, start_ns > now_ns ? (uint64_t) (start_ns - now_ns) : 0, q->seconds);
}

static int send_other(const struct send_options *q, enum wire_type type)
{
	char created[TIMESTAMP_MAX];
	struct wire_event event = { .type = type,
		.pids = q->pids,
		.n_pids = q->n_pids,
		.name = text_of(q->name),
		.uuid = text_of(q->uuid) };

	timestamp_utc_naive(clock_wall_ns(&clock_system), created, sizeof(created));
	event.create_ts = text_of(created);
	return sender_send("send", q->to, &event);
}

int cmd_send(int argc, char **argv)
{
	struct send_options q = { .seconds = DEFAULT_SECONDS, .name = NULL, .uuid = "" };
	const char *types = cli_env("POWERMEASURE_MONITOR_TYPES");
	const char *what;
	char address[300];
	bool engine;
	int option, r = CLI_DONE;

	if (argc < 2 ||
		(argv[1][0] == '-' && strcmp(argv[1], "--help") != 0 && strcmp(argv[1], "-h") != 0))
		return cli_usage("send", "first comes what to send: start, stop or terminate");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		fputs(help, stdout);
		return CLI_DONE;
	}
	what = argv[1];
	if (types && !cli_monitor_types(types, &q.numbering))
		return cli_usage("send",
			"POWERMEASURE_MONITOR_TYPES: \"%s\" is neither readme nor events", types);
	optind = 2;
	while (r == CLI_DONE &&
		(option = cli_next_option("send", argc, argv, "+:h", options)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			return CLI_DONE;
		}
		r = option == CLI_OPT_BAD ? CLI_USAGE : take_option(&q, option, optarg);
	}
	if (r != CLI_DONE)
		return r;
	if (optind < argc)
		return cli_usage("send", "\"%s\" is no option", argv[optind]);
	if (!q.name)
		q.name = *q.uuid ? "" : DEFAULT_NAME;
	if (!q.to)
		q.to = cli_default_address(address, sizeof(address), &engine);
	if (!q.to)
		return CLI_USAGE;
	if (q.n_pids == 0 && (strcmp(what, "start") == 0 || strcmp(what, "stop") == 0))
		return cli_usage("send", "%s which processes? Name each with --pid N", what);
	if (strcmp(what, "start") == 0)
		return send_start(&q);
	if (strcmp(what, "stop") == 0)
		return send_other(&q, WIRE_MONITOR_STOP);
	if (strcmp(what, "terminate") == 0)
		return send_other(&q, WIRE_PLUGIN_TERMINATE);
	return cli_usage("send", "\"%s\" is none of start, stop, terminate", what);
}
