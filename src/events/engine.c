// SPDX-License-Identifier: MIT
/*
 * An event engine: a REQ socket that asks for the next event and waits, for ever if need be.
 *
 * A request that was given up loses its event, so the socket is thrown away only when its
 * connection is known to be broken. ZeroMQ would not send the request again over a new connection,
 * and its own reconnecting is jittered; so each attempt is a new socket.
 *
 * Attempts begin 0.1 s, 0.2 s, 0.4 s ... and at last 5 s after each other, and after 0.1 s again when a
 * connection was lost: an engine is often started together with this plugin, and its first event may
 * come as soon as it listens.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "machine/clock.h"
#include "events/bus.h"
#include "events/event.h"
#include "events/link.h"
#include "events/source.h"
#include "util/cleanup.h"
#include "util/timer.h"

/* Between the beginnings of two attempts, the first time and at most. */
#define PAUSE_FIRST_NS (100 * NS_PER_MS)
#define PAUSE_LAST_NS (5 * NS_PER_S)

/* An attempt that neither succeeds nor fails is given up after this. */
#define ATTEMPT_NS (5 * NS_PER_S)

/* An engine that starts together with this plugin is no news. */
#define AWAY_AFTER_NS NS_PER_S

#define QUIT_LINGER_MS 1000
#define CLOSE_MS 1000

/* ZeroMQ's own next attempt, which never comes: the socket is closed before. To forbid it (-1)
 * would make ZeroMQ throw away what it has received as soon as the connection breaks. */
#define FAR_OFF_MS (24 * 3600 * 1000)

/* What a monitor tells when the host's name was looked up and connecting has begun. */
#define DIALLED (ZMQ_EVENT_CONNECT_DELAYED | ZMQ_EVENT_CONNECTED)

enum exchange {
	NOTHING_PENDING,
	ANNOUNCING, /* PluginStartedEvent was sent, the engine's answer is still to come */
	WAITING,    /* next_msg was sent */
};

struct engine {
	void *zmq;
	void *req;
	void *monitor;   /* tells what becomes of req's connection */
	struct link out; /* where plugins publish, if that is known */
	int epoll_fd;
	int timer_fd;
	uint64_t attempt_ns; /* when the last attempt began */
	uint64_t pause_ns;   /* after its beginning the next one is due, if it fails */
	uint64_t away_ns;    /* since when there is no connection */
	bool dialled;        /* it has come as far as an address */
	bool connected;
	bool said_away;
	bool announced;
	bool terminated;
	enum exchange exchange;
	int linger_ms; /* of what was published at the end */
	struct request event;
};

static uint64_t now_ns(void)
{
	return clock_mono_ns(&clock_system);
}

static void say(struct source *s, bool bad, const char *before, const char *after)
{
	char text[320];

	snprintf(text, sizeof(text), "%s %s%s", before, s->options.address, after);
	s->owner.say(s->owner.ctx, bad, text);
}

static void say_away(struct source *s)
{
	say(s, true, "no event engine yet at", ": waiting for it");
}

static void watch(struct engine *e, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };

	if (fd >= 0)
		epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static void arm_timer(struct engine *e, uint64_t at_ns)
{
	const struct itimerspec spec = { .it_value = ns_to_timespec(at_ns) };

	timerfd_settime(e->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

/* The descriptors leave the epoll set before ZeroMQ closes them in a thread of its own. */
static void close_sockets(struct engine *e)
{
	if (e->req) {
		epoll_ctl(e->epoll_fd, EPOLL_CTL_DEL, bus_socket_fd(e->req), NULL);
		zmq_socket_monitor(e->req, NULL, 0);
		zmq_close(e->req);
	}
	if (e->monitor) {
		epoll_ctl(e->epoll_fd, EPOLL_CTL_DEL, bus_socket_fd(e->monitor), NULL);
		zmq_close(e->monitor);
	}
	e->req = e->monitor = NULL;
	e->dialled = e->connected = false;
	e->exchange = NOTHING_PENDING;
}

static int open_sockets(struct source *s)
{
	struct engine *e = s->state;
	const int events = DIALLED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED |
		ZMQ_EVENT_CLOSED | ZMQ_EVENT_CONNECT_RETRIED |
		ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL;
	const int far_off_ms = FAR_OFF_MS;

	e->req = bus_socket(e->zmq, ZMQ_REQ, 0);
	if (!e->req ||
		zmq_setsockopt(e->req, ZMQ_RECONNECT_IVL, &far_off_ms, sizeof(far_off_ms)) < 0)
		return -errno;
	e->monitor = bus_monitor(e->zmq, e->req, events);
	if (!e->monitor || zmq_connect(e->req, s->options.address) < 0)
		return -errno;
	watch(e, bus_socket_fd(e->req));
	watch(e, bus_socket_fd(e->monitor));
	return 0;
}

static int attempt(struct source *s)
{
	struct engine *e = s->state;
	int r;

	close_sockets(e);
	e->attempt_ns = now_ns();
	r = open_sockets(s);
	if (r < 0)
		close_sockets(e);
	arm_timer(e, e->attempt_ns + ATTEMPT_NS);
	return r;
}

/* The next attempt, if one fails now. */
static uint64_t next_attempt_ns(struct engine *e)
{
	uint64_t due_ns = e->attempt_ns + e->pause_ns;

	e->pause_ns *= 2;
	if (e->pause_ns > PAUSE_LAST_NS)
		e->pause_ns = PAUSE_LAST_NS;
	return due_ns;
}

static void ask(struct engine *e)
{
	if (bus_send(e->req, BUS_NEXT_MSG, strlen(BUS_NEXT_MSG)) == 0)
		e->exchange = WAITING;
}

static int send_about_self(struct source *s, void *socket, enum wire_type type)
{
	char message[EVENT_ABOUT_SELF_MAX];
	int n = event_about_self(&s->options, type, message, sizeof(message));

	return n < 0 ? n : bus_send(socket, message, (size_t) n);
}

static void mend_out(struct engine *e)
{
	if (link_is_stuck(&e->out))
		link_mend(&e->out);
}

static void on_connected(struct source *s)
{
	struct engine *e = s->state;

	e->connected = true;
	e->said_away = false;
	arm_timer(e, 0);
	mend_out(e);
	say(s, false, "connected to the event engine at", "");
	if (!e->announced && send_about_self(s, e->req, WIRE_PLUGIN_STARTED) == 0)
		e->exchange = ANNOUNCING;
	else
		ask(e);
}

static void work_on_replies(struct source *s)
{
	struct engine *e = s->state;

	while (e->req && e->connected && !e->terminated && bus_readable(e->req)) {
		enum exchange exchange = e->exchange;
		zmq_msg_t message;
		int r = bus_receive(e->req, &message);

		if (r < 0 && r != -EBADMSG)
			return;
		e->exchange = NOTHING_PENDING;
		if (r == -EBADMSG) {
			s->owner.refused(
				s->owner.ctx, "", "a message of several parts is no event");
		} else {
			if (exchange == ANNOUNCING)
				e->announced = true;
			else
				e->terminated = event_take(s, &e->event, zmq_msg_data(&message),
					zmq_msg_size(&message));
			zmq_msg_close(&message);
		}
		if (!e->terminated)
			ask(e);
	}
}

static void begin_waiting(struct engine *e)
{
	e->away_ns = now_ns();
	e->pause_ns = PAUSE_FIRST_NS;
}

static void say_away_once(struct source *s)
{
	struct engine *e = s->state;

	if (e->said_away || now_ns() < e->away_ns + AWAY_AFTER_NS)
		return;
	say_away(s);
	e->said_away = true;
}

/* Not connected, or no longer. */
static void on_away(struct source *s)
{
	struct engine *e = s->state;
	uint64_t due_ns;

	/* An event that came before the connection broke is still there. */
	work_on_replies(s);
	if (e->connected) {
		say(s, true, "lost the event engine at", ": waiting for it, measuring goes on");
		e->said_away = true;
		begin_waiting(e);
		e->attempt_ns = e->away_ns;
	}
	close_sockets(e);
	due_ns = next_attempt_ns(e);
	say_away_once(s);
	arm_timer(e, due_ns > now_ns() ? due_ns : now_ns());
}

static void work_on_monitor(struct source *s)
{
	struct engine *e = s->state;
	int number;

	/* Working on one event may close the sockets. */
	while (e->monitor && (number = bus_monitor_next(e->monitor))) {
		if (number & DIALLED)
			e->dialled = true;
		else if (number == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
			on_connected(s);
		else
			on_away(s);
	}
}

/* An attempt is due, or the last one has come to nothing. A look-up of the host's name cannot be given
 * up: attempts would queue up behind it. */
static void on_timer(struct source *s)
{
	struct engine *e = s->state;

	mend_out(e);
	say_away_once(s);
	if (e->req && !e->dialled)
		arm_timer(e, now_ns() + ATTEMPT_NS);
	else
		attempt(s);
}

static void engine_work(struct source *s)
{
	struct engine *e = s->state;
	uint64_t expirations;

	link_work(&e->out);
	work_on_monitor(s);
	work_on_replies(s);
	if (read(e->timer_fd, &expirations, sizeof(expirations)) == (ssize_t) sizeof(expirations) &&
		!e->connected && !e->terminated)
		on_timer(s);
}

static int open_out(struct source *s, char *ret_why, size_t n)
{
	struct engine *e = s->state;
	int r;

	if (!s->options.publish)
		return 0;
	e->out = (struct link) { .zmq = e->zmq,
		.type = ZMQ_XPUB,
		.address = s->options.publish,
		.epoll_fd = e->epoll_fd };
	r = link_open(&e->out);
	if (r < 0)
		snprintf(ret_why, n,
			"%s is no address to connect to: %s; one looks like tcp://engine:5559",
			s->options.publish, zmq_strerror(-r));
	return r;
}

static int engine_open(struct source *s, char *ret_why, size_t n)
{
	struct engine *e = calloc(1, sizeof(*e));
	int r;

	s->state = e;
	s->fd = -1;
	if (!e) {
		snprintf(ret_why, n, "out of memory");
		return -ENOMEM;
	}
	e->epoll_fd = e->timer_fd = -1;
	e->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	e->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	e->zmq = zmq_ctx_new();
	if (e->epoll_fd < 0 || e->timer_fd < 0 || !e->zmq) {
		snprintf(ret_why, n, "cannot make a socket: %s", strerror(errno));
		return -ENOMEM;
	}
	watch(e, e->timer_fd);
	s->fd = e->epoll_fd;
	begin_waiting(e);
	r = attempt(s);
	if (r < 0) {
		snprintf(ret_why, n,
			"%s is no address to connect to: %s; one looks like "
			"tcp://engine:6010",
			s->options.address, zmq_strerror(-r));
		return r;
	}
	return open_out(s, ret_why, n);
}

/* Waits for the engine's answer, whatever it is; false if none came. */
static bool await_reply(struct engine *e, uint64_t until_ns)
{
	for (;;) {
		struct pollfd fd = { .fd = bus_socket_fd(e->req), .events = POLLIN };
		uint64_t now = now_ns();
		zmq_msg_t message;
		int r = bus_receive(e->req, &message);

		if (r == 0)
			zmq_msg_close(&message);
		if (r == 0 || r == -EBADMSG)
			return true;
		if (now >= until_ns || poll(&fd, 1, (int) ((until_ns - now) / NS_PER_MS) + 1) < 0)
			return false;
	}
}

static void set_linger(void *socket, int linger_ms)
{
	zmq_setsockopt(socket, ZMQ_LINGER, &linger_ms, sizeof(linger_ms));
}

/* Over the socket that the engine is used to; false if that one has a request pending. */
static bool say_goodbye(struct source *s, int linger_ms)
{
	struct engine *e = s->state;

	if (e->exchange != NOTHING_PENDING ||
		send_about_self(s, e->req, WIRE_PLUGIN_TERMINATING) < 0 ||
		!await_reply(e, now_ns() + (uint64_t) linger_ms * NS_PER_MS))
		return false;
	set_linger(e->req, linger_ms);
	return bus_send(e->req, BUS_QUIT, strlen(BUS_QUIT)) == 0;
}

/* After a terminate event the REQ socket is free to say goodbye. With a request pending it is not:
 * that the plugin ends can then be said only where plugins publish, and the engine reads "quit" from
 * a second socket as soon as its next event has come. */
static void engine_leave(struct source *s, int timeout_ms)
{
	struct engine *e = s->state;
	int linger_ms = timeout_ms < QUIT_LINGER_MS ? timeout_ms : QUIT_LINGER_MS;
	void *second;

	if (e->connected && say_goodbye(s, linger_ms))
		return;
	link_work(&e->out);
	if (e->out.up && (!e->connected || e->exchange != NOTHING_PENDING) &&
		send_about_self(s, e->out.socket, WIRE_PLUGIN_TERMINATING) == 0)
		e->linger_ms = linger_ms;
	if (!e->connected)
		return;
	second = bus_socket(e->zmq, ZMQ_REQ, linger_ms);
	if (!second)
		return;
	if (zmq_connect(second, s->options.address) == 0)
		bus_send(second, BUS_QUIT, strlen(BUS_QUIT));
	zmq_close(second);
}

/* An engine waits for each of its plugins to begin and to quit, without a limit. */
static void engine_excuse(const struct source_options *options, int timeout_ms)
{
	void *zmq = zmq_ctx_new();
	void *req = zmq ? bus_socket(zmq, ZMQ_REQ, timeout_ms) : NULL;

	if (req && zmq_connect(req, options->address) == 0)
		bus_send(req, BUS_QUIT, strlen(BUS_QUIT));
	if (req)
		zmq_close(req);
	if (zmq)
		bus_leave(zmq, timeout_ms);
}

static void engine_close(struct source *s)
{
	struct engine *e = s->state;

	if (!e)
		return;
	close_sockets(e);
	link_close(&e->out, e->linger_ms);
	if (e->zmq)
		bus_leave(e->zmq, CLOSE_MS);
	close_fd(&e->epoll_fd);
	close_fd(&e->timer_fd);
	free(e);
	s->state = NULL;
}

const struct source_ops source_engine = {
	.name = "engine",
	.open = engine_open,
	.work = engine_work,
	.leave = engine_leave,
	.excuse = engine_excuse,
	.close = engine_close,
};
