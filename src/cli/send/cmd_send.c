// SPDX-License-Identifier: MIT
#include <errno.h>
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
	uint64_t seconds; /* as much as an event can ask for at most */
	const char *at;
	bool wait;
	const char *name;
	const char *uuid;
};

static int take_pid(void *field, const char *text, char *ret_why, size_t why_size)
{
	struct send_options *q = field;
	int64_t pid;

	if (parse_i64(text, &pid) < 0 || pid < INT32_MIN || pid > INT32_MAX) {
		snprintf(ret_why, why_size, "not a PID: '%s'; give --pid again for each process",
			text);
		return -EINVAL;
	}
	if (q->n_pids == MAX_PIDS) {
		snprintf(ret_why, why_size, "more than %d", MAX_PIDS);
		return -E2BIG;
	}
	q->pids[q->n_pids++] = (int32_t) pid;
	return 0;
}

static int take_type(void *field, const char *text, char *ret_why, size_t why_size)
{
	struct send_options *q = field;

	if (q->n_type_names == MAX_TYPES) {
		snprintf(ret_why, why_size, "more than %d", MAX_TYPES);
		return -E2BIG;
	}
	q->type_names[q->n_type_names++] = text;
	return 0;
}

static const struct opt options[] = {
	OPT_TEXT(0, "to", "ADDRESS", struct send_options, to,
		"send to a plugin that listens, or to an event engine's port for one of its plugins "
		"[tcp://127.0.0.1:6010, or the environment's]"),
	OPT_CALL('p', "pid", "PID", take_pid, "name a process; repeat for more"),
	OPT_CALL(0, "type", "WHAT", take_type,
		"measure all, cpu, gpu, dram or a number; repeat for more [0: CPU and GPU]"),
	OPT_WORD(0, "monitor-types", "readme|events", struct send_options, numbering,
		cli_monitor_types, "choose how the receiver numbers these", .initial = "readme",
		.variable = "POWERMEASURE_MONITOR_TYPES"),
	OPT_NUMBER(0, "seconds", "SECONDS", struct send_options, seconds, opt_count, 0, UINT32_MAX,
		"measure for SECONDS; 0: until stopped", .initial = "10"),
	OPT_TEXT(0, "at", "TIME", struct send_options, at,
		"begin at TIME: RFC 3339, or without an offset in UTC, or +SECONDS"),
	OPT_FLAG(0, "wait", struct send_options, wait,
		"wait for the end and print what each process used (same machine)"),
	OPT_TEXT(0, "name", "NAME", struct send_options, name,
		"terminate the plugin of this name; * is every one [" DEFAULT_NAME "]"),
	OPT_TEXT(0, "uuid", "UUID", struct send_options, uuid, "terminate the plugin of this UUID"),
	OPT_END,
};

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

static int await_endings(int fd, uint64_t delay_ns, uint64_t seconds)
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
		.seconds = (uint32_t) q->seconds };
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

static int send_what(struct send_options *q, const char *what)
{
	bool start = strcmp(what, "start") == 0, stop = strcmp(what, "stop") == 0;

	if (!start && !stop && strcmp(what, "terminate") != 0)
		return cli_usage("send", "not one of start, stop, terminate: '%s'", what);
	if (q->n_pids == 0 && (start || stop))
		return cli_usage("send", "%s needs processes: name each with --pid PID", what);
	if (start)
		return send_start(q);
	return send_other(q, stop ? WIRE_MONITOR_STOP : WIRE_PLUGIN_TERMINATE);
}

static int run_send(int argc, char **argv)
{
	struct send_options q = { .uuid = "" };
	char address[300];
	const char *what;
	struct opts o;
	bool engine;

	opts_begin(&o, &command_send, argc, argv, &q);
	if (!opts_take(&o))
		return o.status;
	if (o.next > 1 || argc < 2)
		return cli_usage("send", "first comes what to send: start, stop or terminate");
	what = o.words[o.next++];
	if (!opts_take_all(&o, 0))
		return o.status;
	if (!q.name)
		q.name = *q.uuid ? "" : DEFAULT_NAME;
	if (!q.to)
		q.to = cli_default_address(address, sizeof(address), &engine);
	return q.to ? send_what(&q, what) : CLI_USAGE;
}

const struct cli_command command_send = {
	.name = "send",
	.summary = "send an event: start, stop or terminate",
	.usage = "send start --pid PID [OPTIONS]\n"
		 "send stop --pid PID [--to ADDRESS]\n"
		 "send terminate [--name NAME] [--to ADDRESS]",
	.about = "Sends one event to a plugin that listens, or to a port of an event engine, and "
		 "waits for its answer.",
	.options = options,
	.status = "0 done; 1 refused (the reason is printed), or no answer; 2 wrong usage",
	.run = run_send,
};
