// SPDX-License-Identifier: MIT
#include "daemon/plugin.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "phases/phase_channel.h"
#include "meter/rig.h"
#include "daemon/listener.h"
#include "daemon/lock.h"
#include "daemon/log.h"
#include "daemon/sampler.h"
#include "util/cleanup.h"
#include "sinks/regular.h"
#include "util/fdroom.h"
#include "util/signals.h"

/* What is left to drivers at the end; together with the rest below five seconds. */
#define STOP_SAMPLER_NS (300 * NS_PER_MS)
#define STOP_POLLERS_NS (300 * NS_PER_MS)

/* For an engine that is started together with this program, to be told that it failed. */
#define EXCUSE_MS 5000

#define MAX_SINKS 5

/* As many files as it needs at the start, with a margin. libzmq ends the program where it gets none. */
#define FEWEST_FILES 64

struct plugin {
	const struct plugin_config *config;
	struct host host;
	struct rig *rig;
	struct sampler *sampler;
	struct sink sinks[MAX_SINKS];
	size_t n_sinks;
	struct phase_channel *phases;
	const struct domain *domains[RIG_MAX_DOMAINS];
	char source_texts[KIND_COUNT][256]; /* empty: no sensor */
	struct sink_source sources[KIND_COUNT];
	int lock_fd;
	int signal_fd;
	char why[4400]; /* what a function that sets up has failed of, in words */
};

/* Keeps the reason for plugin_run() to log. Returns error, so that it can end a function. */
__attribute__((format(printf, 3, 4))) static int refuse(
	struct plugin *p, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(p->why, sizeof(p->why), format, args);
	va_end(args);
	return error;
}

static int take_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	signal(SIGPIPE, SIG_IGN);
	/* Before any thread is made, so that libraries' threads inherit it. */
	return signals_open(&set, NULL);
}

static void tell_verdict(const struct rig_verdict *v)
{
	if (v->used || v->error == 0 || v->error == -ECANCELED) {
		if (v->used)
			log_info("sensor %s: %zu domain%s", v->ops->name, v->n_domains,
				v->n_domains == 1 ? "" : "s");
		if (v->used && v->why.reason[0])
			log_warn("sensor %s: %s%s%s", v->ops->name, v->why.reason,
				v->why.fix[0] ? "; to change that: " : "", v->why.fix);
		return;
	}
	/* What could be had for a command is worth a warning, what cannot be, or is there in another
	 * way, is not. */
	if (v->why.fix[0] && !v->spare)
		log_warn("sensor %s is not used: %s; to change that: %s", v->ops->name,
			v->why.reason, v->why.fix);
	else
		log_info("sensor %s is not used: %s", v->ops->name, v->why.reason);
}

static const char *origin_of(const struct domain *d)
{
	return d->quality == FLAG_ESTIMATED   ? ", ESTIMATED: "
		: rig_is_simulated(d->sensor) ? ", SIMULATED"
					      : "";
}

static void tell_domain(const struct domain *d)
{
	if (d->quality == FLAG_ESTIMATED)
		log_warn("%s power is ESTIMATED, not measured: %s", kind_title(d->kind), d->model);
	else if (rig_is_simulated(d->sensor))
		log_warn("%s power is SIMULATED, not measured", kind_title(d->kind));
	else
		log_debug("%s %s: %s, %s", d->sensor, d->name, kind_name(d->kind), d->scope);
}

/* Only what is logged beside CPU.json and GPU.json has a place for it. */
static void tell_users_unknown(const struct plugin_config *config, const struct domain *d)
{
	if (d->kind != KIND_GPU || !d->counted || d->tells_users ||
		(!config->record && config->log_format == LOG_FORMAT_README))
		return;
	log_warn("%s %s: it is not told which process uses it: its energy is not shared out",
		d->sensor, d->name);
}

/* Adds a counted domain's sensor to what is said of its kind. */
static void note_source(struct plugin *p, const struct domain *d)
{
	char *text = p->source_texts[d->kind];
	size_t len = strlen(text), room = sizeof(p->source_texts[0]) - len;
	struct sink_source *source = &p->sources[d->kind];

	if (!d->counted || strstr(text, d->sensor))
		return;
	snprintf(text + len, room, "%s%s%s%s", len ? ", " : "", d->sensor, origin_of(d), d->model);
	source->text = text;
	source->simulated |= rig_is_simulated(d->sensor);
	if (!source->known_tool)
		source->known_tool = sensor_find(d->sensor)->known_tool;
}

static int open_rig(struct plugin *p)
{
	const struct plugin_config *config = p->config;
	struct rig_options options = { .sensors = config->sensors,
		.sensor = &config->sensor_options };
	const char *bad_name;
	char note[256];
	int r = rig_open(&p->rig, &p->host, &options, &bad_name);

	if (r < 0)
		return refuse(p, r, "cannot open the sensors: %s", strerror(-r));
	if (rig_absent(p->rig))
		return refuse(p, -ENODEV, "--gpu: %s", rig_absent(p->rig));
	for (size_t i = 0; i < rig_n_verdicts(p->rig); i++)
		tell_verdict(rig_verdict(p->rig, i));
	if (host_scope_note(&p->host, note, sizeof(note)))
		log_warn("%s", note);
	for (size_t i = 0; i < rig_n_domains(p->rig); i++) {
		p->domains[i] = rig_domain(p->rig, i);
		tell_domain(p->domains[i]);
		tell_users_unknown(config, p->domains[i]);
		note_source(p, p->domains[i]);
	}
	if (rig_n_domains(p->rig) == 0)
		return refuse(p, -ENODEV,
			"no sensor of --sensors %s can be used, and no estimate was asked for; "
			"see `powermeasure list`",
			config->sensors ? config->sensors : "");
	return 0;
}

static void leave_at_once(int signal_number)
{
	(void) signal_number;
	_exit(EXIT_SUCCESS);
}

/* Drivers take as long as they please to be opened. Whoever ends the program meanwhile need not
 * wait for that: there is nothing to finish yet. */
static int open_rig_or_leave(struct plugin *p)
{
	static const int ending[] = { SIGTERM, SIGINT };
	struct sigaction leave = { .sa_handler = leave_at_once }, before[ARRAY_SIZE(ending)];
	sigset_t set;
	int r;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(ending); i++) {
		sigaction(ending[i], NULL, &before[i]);
		if (before[i].sa_handler == SIG_IGN)
			continue;
		sigaction(ending[i], &leave, NULL);
		sigaddset(&set, ending[i]);
	}
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	r = open_rig(p);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(ending); i++)
		sigaction(ending[i], &before[i], NULL);
	return r;
}

static int open_sink(struct plugin *p, const struct sink_ops *ops, const char *path)
{
	struct sink *s = &p->sinks[p->n_sinks++];
	char why[SINK_WHY_MAX];
	int r;

	*s = (struct sink) { .ops = ops,
		.options = { .path = path,
			.max_bytes = p->config->log_max_bytes,
			.own_gpu = p->config->own_gpu } };
	memcpy(s->options.sources, p->sources, sizeof(p->sources));
	r = ops->open(s, why, sizeof(why));
	if (r < 0)
		return refuse(p, r, "cannot write the log: %s", *why ? why : strerror(-r));
	if (*why)
		log_warn("%s", why);
	return 0;
}

static int open_sinks(struct plugin *p)
{
	const struct plugin_config *config = p->config;
	int r = 0;

	if (config->log_format == LOG_FORMAT_README) {
		r = open_sink(p, &sink_readme, config->log_dir);
	} else {
		r = open_sink(p, &sink_camera_traps, config->log_dir);
		if (r == 0)
			r = open_sink(p, &sink_camera_traps_report, config->log_dir);
		if (r == 0)
			r = open_sink(p, &sink_system_csv, config->log_dir);
	}
	if (r == 0 && config->record)
		r = open_sink(p, &sink_jsonl, config->record);
	if (r == 0 && config->phases)
		r = open_sink(p, &sink_phases_json, config->log_dir);
	return r;
}

static int open_phases(struct plugin *p)
{
	char why[320];
	int r;

	if (!p->config->phases)
		return 0;
	r = phase_channel_create(&p->phases, p->config->phases, getuid(), why, sizeof(why));
	return r < 0 ? refuse(p, r, "--phases: %s", why) : 0;
}

/* Whether anything that is written depends on how idle the machine was. */
static bool needs_idle_time(const struct plugin *p)
{
	if (p->config->record || p->config->idle == IDLE_PROPORTIONAL)
		return true;
	for (size_t i = 0; i < rig_n_domains(p->rig); i++)
		if (p->domains[i]->quality == FLAG_ESTIMATED)
			return true;
	return false;
}

static int open_host(struct plugin *p)
{
	int r = host_init(&p->host, p->config->root, &clock_system);

	if (r == -ENOSYS)
		return refuse(p, r, HOST_NO_PROC_FIX);
	if (r < 0)
		return refuse(p, r, "--root %s: %s", p->config->root ? p->config->root : "/",
			strerror(-r));
	if (p->host.captured)
		log_warn("%s is a captured machine: its counters stand still", p->host.root);
	return 0;
}

static int lock_logs(struct plugin *p)
{
	p->lock_fd = lock_log_dir(p->config->log_dir, p->why, sizeof(p->why));
	return p->lock_fd < 0 ? p->lock_fd : 0;
}

/* What an earlier run left would be taken for this one's, however this one ends. */
static void remove_old_summary(const struct plugin *p)
{
	char path[4400];

	if (p->config->log_format == LOG_FORMAT_README)
		return;
	snprintf(path, sizeof(path), "%s/" CAMERA_TRAPS_SUMMARY, p->config->log_dir);
	unlink(path);
}

static int start_sampler(struct plugin *p)
{
	struct sampler_options options = {
		.host = &p->host, .rig = p->rig, .wants_idle = needs_idle_time(p)
	};
	int r;

	memcpy(options.period_ns, p->config->period_ns, sizeof(options.period_ns));
	r = sampler_create(&p->sampler, &options);
	return r < 0 ? refuse(p, r, "cannot start the sampling thread: %s", strerror(-r)) : 0;
}

/* Returns 0, or -errno with the reason in p->why. */
static int set_up(struct plugin *p)
{
	int r;

	p->signal_fd = take_signals();
	if (p->signal_fd < 0)
		return refuse(p, p->signal_fd, "cannot take signals: %s", strerror(-p->signal_fd));
	/* Each process takes a few descriptors, and a thousand may be named in one event. */
	fdroom_raise();
	r = fdroom_check(FEWEST_FILES, p->why, sizeof(p->why));
	if (r == 0)
		r = open_host(p);
	if (r == 0)
		r = lock_logs(p);
	if (r < 0)
		return r;
	remove_old_summary(p);
	r = open_rig_or_leave(p);
	if (r == 0)
		r = open_sinks(p);
	if (r == 0)
		r = open_phases(p);
	if (r == 0)
		r = start_sampler(p);
	return r;
}

/* A stream's reader may leave or be slow as it likes: that is said while it is so. */
static bool is_stream(const struct sink *s)
{
	return s->ops == &sink_jsonl && strcmp(s->options.path, "-") == 0;
}

/* Returns how many lines did not get into their files, each said. */
static uint64_t close_sinks(struct plugin *p)
{
	uint64_t all_lost = 0;

	for (size_t i = 0; i < p->n_sinks; i++) {
		struct sink *s = &p->sinks[i];
		uint64_t lost;

		s->ops->close(s);
		lost = s->health.lost + s->health.waiting;
		if (is_stream(s) || (lost == 0 && s->health.error == 0))
			continue;
		if (lost > 0)
			log_error("%s: %" PRIu64 " lines lost: %s", s->options.path, lost,
				s->health.error ? regular_strerror(-s->health.error)
						: "there was no room for them for a while");
		else
			log_error("%s: not all could be written at the end: %s", s->options.path,
				regular_strerror(-s->health.error));
		all_lost += lost ? lost : 1;
	}
	p->n_sinks = 0;
	return all_lost;
}

/* Returns false where a driver call hangs: its thread is left behind with what it uses. */
static bool tear_down(struct plugin *p)
{
	bool ended = sampler_destroy(p->sampler, STOP_SAMPLER_NS);

	close_sinks(p);
	phase_channel_destroy(p->phases);
	ended = ended && rig_close(p->rig, STOP_POLLERS_NS);
	if (ended)
		host_finish(&p->host);
	close_fd(&p->lock_fd);
	close_fd(&p->signal_fd);
	return ended;
}

/* An engine would wait for a plugin that never comes. Where another instance has the log directory the
 * engine may be waiting for that one. */
static void excuse(const struct plugin_config *config, int error)
{
	const struct source_options options = { .address = config->address,
		.publish = config->publish,
		.plugin_name = config->name,
		.plugin_uuid = config->uuid };

	if (error != -EWOULDBLOCK && fdroom_check(FEWEST_FILES, NULL, 0) == 0)
		config->source->excuse(&options, EXCUSE_MS);
}

int plugin_run(const struct plugin_config *config)
{
	struct plugin *p = calloc(1, sizeof(*p));
	struct listener *l = NULL;
	uint64_t lost = 0;
	int status, r;

	if (!p) {
		log_error("out of memory");
		return EXIT_FAILURE;
	}
	p->config = config;
	p->lock_fd = p->signal_fd = -1;
	r = set_up(p);
	if (r == 0) {
		struct listener_options options = { .config = config,
			.clock = &clock_system,
			.domains = p->domains,
			.n_domains = rig_n_domains(p->rig),
			.tick_ns = p->host.tick_ns,
			.sampler = p->sampler,
			.phases = p->phases,
			.sinks = p->sinks,
			.n_sinks = p->n_sinks,
			.lock_fd = &p->lock_fd,
			.signal_fd = p->signal_fd };

		r = listener_create(&l, &options, p->why, sizeof(p->why));
	}
	if (r < 0)
		log_error("%s", p->why[0] ? p->why : strerror(-r));
	if (r == 0) {
		listener_run(l);
		/* Whoever hears that the plugin ends may look for its files. */
		lost = close_sinks(p);
		listener_leave(l);
	}
	listener_destroy(l);
	for (size_t i = 0; r < 0 && i < p->n_sinks; i++)
		p->sinks[i].unused = true;
	status = r < 0 || lost > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	if (r < 0)
		excuse(config, r);
	if (!tear_down(p))
		_exit(status);
	free(p);
	return status;
}
