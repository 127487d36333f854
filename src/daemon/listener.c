// SPDX-License-Identifier: MIT
#include "daemon/listener.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "daemon/flusher.h"
#include "daemon/log.h"
#include "daemon/outcome.h"
#include "daemon/waiter.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/grow.h"
#include "util/signals.h"
#include "util/timer.h"

/* What is left to the sampler for its last snapshot. */
#define LAST_SNAPSHOT_NS (2 * NS_PER_S)
#define LEAVE_MS 700

#define SELF_TEST_SECONDS 10

/* A descriptor each, and a read of all of them once a second. */
#define MAX_KEPT_THREADS 512

/* One session's end, told when its lines are in the files. */
struct ending {
	char create_ts[REQUEST_TS_MAX];
	char text[640];
};

struct listener {
	struct listener_options options;
	struct session_set *sessions;
	struct source source;
	int epoll_fd;
	int start_fd; /* wall-clock timer: the next scheduled session */
	int flush_fd; /* monotonic timer: a flush or a sync that is due later */
	int waiter_fd;
	int64_t start_armed_ns;
	enum session_ending leaving; /* why; ENDING_NONE: not */

	struct flusher flusher;
	struct ending *endings;
	size_t n_endings;
	size_t cap_endings;

	uint64_t n_refused;
	struct log_limit refused_limit;
	uint64_t told_lost_ticks;
};

static char token_signal, token_sampler, token_source, token_start, token_flush;

static uint64_t now_ns(const struct listener *l)
{
	return clock_mono_ns(l->options.clock);
}

/* ---- what sessions ask for -------------------------------------------------------------- */

static void on_add(void *ctx, struct target *t)
{
	sampler_add(((struct listener *) ctx)->options.sampler, t);
}

static void on_keep(void *ctx, uint32_t slot, struct taskclock clock)
{
	sampler_keep(((struct listener *) ctx)->options.sampler, slot, clock);
}

static void on_drop(void *ctx, uint32_t slot)
{
	sampler_drop(((struct listener *) ctx)->options.sampler, slot);
}

static void on_want(void *ctx, uint32_t kinds)
{
	sampler_want(((struct listener *) ctx)->options.sampler, kinds);
}

static void on_until(void *ctx, uint32_t id, uint64_t t_ns)
{
	sampler_until(((struct listener *) ctx)->options.sampler, id, t_ns);
}

static uint64_t on_edge(void *ctx)
{
	return sampler_edge(((struct listener *) ctx)->options.sampler);
}

static void on_say(void *ctx, enum session_severity severity, const char *text)
{
	static const enum log_level levels[] = { LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

	(void) ctx;
	log_write(levels[severity], "%s", text);
}

static void keep_ending(struct listener *l, const struct session_report *report)
{
	struct ending *e = grow_list(l->endings, l->n_endings, &l->cap_endings, sizeof(*e));

	if (!e)
		return;
	l->endings = e;
	e = &l->endings[l->n_endings++];
	snprintf(e->create_ts, sizeof(e->create_ts), "%s", report->create_ts);
	outcome_text(report, e->text, sizeof(e->text));
}

static void on_record(void *ctx, const struct record *r)
{
	struct listener *l = ctx;

	flusher_write(&l->flusher, r);
	if (r->type == RECORD_BEGIN)
		log_info("pid %d (%s): measuring %s", (int) r->pid, r->name,
			r->session->kinds & KIND_BIT(KIND_CPU) ? "begins" : "of the device begins");
	if (r->type == RECORD_END) {
		keep_ending(l, r->session);
		flusher_hurry(&l->flusher);
	}
}

/* ---- the files -------------------------------------------------------------------------- */

static void tell_endings(struct listener *l)
{
	for (size_t i = 0; i < l->n_endings; i++) {
		log_info("%s", l->endings[i].text);
		waiter_tell(l->waiter_fd, l->endings[i].create_ts, WAITER_ENDED, "%s",
			l->endings[i].text);
	}
	l->n_endings = 0;
}

static void flush(struct listener *l)
{
	flusher_flush(&l->flusher, true);
	tell_endings(l);
}

static void flush_if_due(struct listener *l)
{
	if (flusher_flush_if_due(&l->flusher))
		tell_endings(l);
}

static void reopen(struct listener *l)
{
	flush(l);
	flusher_reopen(&l->flusher);
}

/* ---- events ----------------------------------------------------------------------------- */

static void note_refused(struct listener *l, const char *why)
{
	uint64_t kept_back;

	l->n_refused++;
	if (!log_limited(&l->refused_limit, now_ns(l), &kept_back))
		return;
	if (kept_back)
		log_warn("message refused: %s (%" PRIu64 " more since the last report, %" PRIu64
			 " in all)",
			why, kept_back, l->n_refused);
	else
		log_warn("message refused: %s", why);
}

static void on_refused(void *ctx, const char *create_ts, const char *why)
{
	struct listener *l = ctx;

	note_refused(l, why);
	waiter_tell(l->waiter_fd, create_ts, WAITER_REFUSED, "%s", why);
}

static int start_session(struct listener *l, const struct request *event, char *ret_why, size_t n)
{
	size_t n_accepted = 0;
	int r = session_set_start(l->sessions, event, &n_accepted, ret_why, n);

	if (r < 0) {
		on_refused(l, event->create_ts, ret_why);
		return r;
	}
	waiter_tell(l->waiter_fd, event->create_ts, WAITER_ACCEPTED, "%zu", n_accepted);
	return 0;
}

static int on_take(void *ctx, const struct request *event, char *ret_why, size_t n)
{
	struct listener *l = ctx;

	switch (event->kind) {
	case REQUEST_START:
		return start_session(l, event, ret_why, n);
	case REQUEST_STOP:
		session_set_stop(l->sessions, event->pids, event->n_pids);
		return 0;
	case REQUEST_TERMINATE:
		l->leaving = ENDING_TERMINATED;
		return 0;
	}
	return -EINVAL;
}

static void on_source_says(void *ctx, bool bad, const char *text)
{
	(void) ctx;
	log_write(bad ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "%s", text);
}

/* Measures all the same where that is refused: it is what the program is for. */
static void start_self_test(struct listener *l)
{
	static struct request event;
	char why[REQUEST_WHY_MAX];
	size_t n_accepted;

	event = (struct request) { .kind = REQUEST_START,
		.kinds = KIND_BIT(KIND_CPU) | KIND_BIT(KIND_GPU),
		.start_now = true,
		.seconds = SELF_TEST_SECONDS,
		.n_pids = 1 };
	event.pids[0] = (int32_t) getpid();
	log_info("self-test: measuring this program's own power for %d s", SELF_TEST_SECONDS);
	if (session_set_start(l->sessions, &event, &n_accepted, why, sizeof(why)) < 0)
		log_error("cannot do the self-test: %s", why);
}

/* ---- the loop --------------------------------------------------------------------------- */

static void take_snapshots(struct listener *l)
{
	struct snapshot *s;
	uint64_t lost;

	while ((s = sampler_next(l->options.sampler))) {
		session_set_enter(l->sessions, s);
		sampler_done(l->options.sampler);
	}
	lost = sampler_lost_ticks(l->options.sampler);
	if (lost != l->told_lost_ticks) {
		log_warn("%" PRIu64 " ticks were too many for this machine just now: "
			 "their energy is in the lines that follow",
			lost - l->told_lost_ticks);
		l->told_lost_ticks = lost;
	}
}

static void on_signal(struct listener *l)
{
	struct signalfd_siginfo info;

	while (signals_next(l->options.signal_fd, &info)) {
		if (info.ssi_signo == SIGHUP)
			reopen(l);
		else
			l->leaving = info.ssi_signo == SIGINT ? ENDING_INTERRUPTED : ENDING_TOLD;
	}
}

static void set_timer(int fd, int flags, uint64_t t_ns)
{
	struct itimerspec spec = { 0 };

	if (t_ns != UINT64_MAX)
		spec.it_value = ns_to_timespec(t_ns ? t_ns : 1); /* 0 would disarm it */
	timerfd_settime(fd, flags, &spec, NULL);
}

/* Scheduled times are wall-clock times: when the clock is set, the wait is over early and begins
 * anew. */
static void arm_start(struct listener *l)
{
	int64_t wall_ns;

	if (!session_set_next_start(l->sessions, &wall_ns))
		wall_ns = INT64_MAX;
	if (wall_ns == l->start_armed_ns)
		return;
	l->start_armed_ns = wall_ns;
	set_timer(l->start_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET,
		wall_ns == INT64_MAX  ? UINT64_MAX
			: wall_ns < 0 ? 0
				      : (uint64_t) wall_ns);
}

static void drain(int fd)
{
	uint64_t count;

	/* -ECANCELED tells that the clock was set: just as well. */
	if (read(fd, &count, sizeof(count)) < 0)
		return;
}

static void work(struct listener *l, int timeout_ms)
{
	struct epoll_event events[8];
	int n = epoll_wait(l->epoll_fd, events, ARRAY_SIZE(events), timeout_ms);

	for (int i = 0; i < n; i++) {
		void *who = events[i].data.ptr;

		if (who == &token_signal) {
			on_signal(l);
		} else if (who == &token_sampler) {
			take_snapshots(l);
		} else if (who == &token_source) {
			l->source.ops->work(&l->source);
		} else if (who == &token_start) {
			drain(l->start_fd);
			l->start_armed_ns = INT64_MAX;
			session_set_begin_due(l->sessions);
		} else if (who == &token_flush) {
			drain(l->flush_fd);
		}
	}
	flush_if_due(l);
}

/* Ends all sessions, waiting for their last snapshot as long as that is any use. */
static void end_all(struct listener *l)
{
	uint64_t until_ns = now_ns(l) + LAST_SNAPSHOT_NS;

	session_set_stop_all(l->sessions, l->leaving);
	while (session_set_active(l->sessions) > 0) {
		uint64_t t_ns = now_ns(l);

		if (t_ns >= until_ns) {
			log_error("a sensor does not answer: it is left behind, and the totals go "
				  "as far as its last reading");
			session_set_abandon(l->sessions, l->leaving);
			return;
		}
		epoll_wait(l->epoll_fd, &(struct epoll_event) { 0 }, 1,
			(int) ((until_ns - t_ns) / NS_PER_MS) + 1);
		take_snapshots(l);
	}
}

void listener_run(struct listener *l)
{
	uint64_t armed_ns = UINT64_MAX;

	while (!l->leaving) {
		uint64_t due_ns = flusher_due_ns(&l->flusher);

		arm_start(l);
		if (due_ns != armed_ns)
			set_timer(l->flush_fd, TFD_TIMER_ABSTIME, armed_ns = due_ns);
		work(l, -1);
	}
	log_info("%s: ending", session_ending_text(l->leaving));
	/* Only the sampler is heard from now on. */
	epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, l->source.fd, NULL);
	epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, l->options.signal_fd, NULL);
	epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, l->start_fd, NULL);
	epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, l->flush_fd, NULL);
	end_all(l);
	flush(l);
}

void listener_leave(struct listener *l)
{
	l->source.ops->leave(&l->source, LEAVE_MS);
}

/* ---- making and freeing ----------------------------------------------------------------- */

static int watch(struct listener *l, int fd, void *token)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = token };

	if (token == &token_sampler)
		event.events |= EPOLLET;
	return epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int make_sessions(struct listener *l)
{
	const struct plugin_config *config = l->options.config;
	struct session_options options = { .clock = l->options.clock,
		.domains = l->options.domains,
		.n_domains = l->options.n_domains,
		.account = { .idle = config->idle, .tick_ns = l->options.tick_ns },
		.details = config->record != NULL,
		.phases = l->options.phases,
		.trees = config->trees,
		.max_kept_threads = MAX_KEPT_THREADS };
	struct session_hooks hooks = { .sampling = { .add = on_add,
					       .keep = on_keep,
					       .drop = on_drop,
					       .want = on_want,
					       .until = on_until,
					       .edge = on_edge },
		.record = on_record,
		.say = on_say,
		.ctx = l };

	memcpy(options.period_ns, config->period_ns, sizeof(options.period_ns));
	return session_set_create(&l->sessions, &options, &hooks);
}

static int open_source(struct listener *l, char *ret_why, size_t why_size)
{
	const struct plugin_config *config = l->options.config;

	l->source = (struct source) { .ops = config->source,
		.options = { .address = config->address,
			.publish = config->publish,
			.monitor_types = config->monitor_types,
			.plugin_name = config->name,
			.plugin_uuid = config->uuid },
		.owner = { .take = on_take,
			.refused = on_refused,
			.say = on_source_says,
			.ctx = l },
		.fd = -1 };
	return l->source.ops->open(&l->source, ret_why, why_size);
}

static int open_files(struct listener *l)
{
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd < 0)
		return -errno;
	l->start_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (l->start_fd < 0)
		return -errno;
	l->flush_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (l->flush_fd < 0)
		return -errno;
	l->waiter_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return l->waiter_fd < 0 ? -errno : 0;
}

static int watch_all(struct listener *l)
{
	const struct {
		int fd;
		void *token;
	} watched[] = {
		{ l->options.signal_fd, &token_signal },
		{ sampler_fd(l->options.sampler), &token_sampler },
		{ l->source.fd, &token_source },
		{ l->start_fd, &token_start },
		{ l->flush_fd, &token_flush },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(watched); i++)
		r = watch(l, watched[i].fd, watched[i].token);
	return r;
}

/* Returns 0, or -errno with the reason in ret_why. */
static int set_up(struct listener *l, char *ret_why, size_t why_size)
{
	int r = open_files(l);

	if (r == 0)
		r = make_sessions(l);
	if (r < 0) {
		snprintf(ret_why, why_size, "cannot begin to listen: %s", strerror(-r));
		return r;
	}
	r = open_source(l, ret_why, why_size);
	if (r < 0)
		return r;
	r = watch_all(l);
	if (r < 0)
		snprintf(ret_why, why_size, "cannot wait for events: %s", strerror(-r));
	return r;
}

int listener_create(struct listener **ret, const struct listener_options *options, char *ret_why,
	size_t why_size)
{
	struct listener *l = calloc(1, sizeof(*l));
	int r;

	if (!l) {
		snprintf(ret_why, why_size, "out of memory");
		return -ENOMEM;
	}
	l->options = *options;
	l->flusher = (struct flusher) { .clock = options->clock,
		.sinks = options->sinks,
		.n_sinks = options->n_sinks,
		.log_dir = options->config->log_dir,
		.lock_fd = options->lock_fd,
		.sync_ns = options->config->sync_ns };
	l->start_armed_ns = INT64_MAX;
	l->epoll_fd = l->start_fd = l->flush_fd = l->waiter_fd = -1;
	r = set_up(l, ret_why, why_size);
	if (r < 0) {
		listener_destroy(l);
		return r;
	}
	if (options->config->self_test)
		start_self_test(l);
	*ret = l;
	return 0;
}

void listener_destroy(struct listener *l)
{
	if (!l)
		return;
	if (l->source.ops)
		l->source.ops->close(&l->source);
	session_set_destroy(l->sessions);
	close_fd(&l->epoll_fd);
	close_fd(&l->start_fd);
	close_fd(&l->flush_fd);
	close_fd(&l->waiter_fd);
	free(l->endings);
	free(l);
}
