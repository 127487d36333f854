// SPDX-License-Identifier: MIT
/*
 * An event engine without a port of one's own there: events are subscribed to where the engine
 * publishes, and what there is to say goes where the engine takes what plugins publish.
 *
 * The engine knows nothing of this plugin: it does not wait for its goodbye, and what it published
 * before the subscription had arrived is not repeated. So there is no request that could be lost,
 * and ZeroMQ may connect again by itself.
 */
#include <errno.h>
#include <inttypes.h>
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

/* So long nothing is said of an engine that is not there, and so often a connection that ZeroMQ gave
 * up is made anew. */
#define LOOK_EVERY_S 5

/* Nobody tells a subscriber that its subscriptions have arrived: a message that nobody else subscribes
 * to goes round through the engine until it comes back. Those that were published before are lost
 * to us, and so is what a plugin sends as soon as it hears that this one has begun. */
#define PROBE_HEAD "\xfe\xffpowermeasure"
#define PROBE_EVERY_MS 100
#define PROBES_MAX (LOOK_EVERY_S * 1000 / PROBE_EVERY_MS)

#define CLOSE_MS 1000

/* After so many events everybody else in the loop has a turn: publishers wait for nobody. */
#define EVENTS_AT_A_TIME 256

struct pubsub {
	void *zmq;
	int epoll_fd;
	int timer_fd;
	struct link in;
	struct link out;
	char probe[64];
	unsigned n_probes; /* sent over the present connections */
	unsigned n_lives;  /* of both, to which the next two apply */
	bool probed;       /* it came back, or we have waited long enough */
	bool connected;    /* both, probed, and it was said */
	bool hurried;      /* the timer goes off for what is left to do */
	bool said_away;
	bool terminated;
	int linger_ms;
	struct request event;
};

static void say(
	struct source *s, bool bad, const char *before, const char *address, const char *after)
{
	char text[320];

	snprintf(text, sizeof(text), "%s %s%s", before, address, after);
	s->owner.say(s->owner.ctx, bad, text);
}

/* The one that is not there. */
static const char *missing(const struct pubsub *p)
{
	return p->in.up ? p->out.address : p->in.address;
}

/* Looks after the connections while they are not there, or not known to work; at_once: now, too. */
static void set_timer(struct pubsub *p, bool at_once)
{
	struct itimerspec spec = { 0 };

	if (!p->connected && p->n_probes > 0)
		spec.it_interval.tv_nsec = PROBE_EVERY_MS * (long) NS_PER_MS;
	else if (!p->connected)
		spec.it_interval.tv_sec = LOOK_EVERY_S;
	spec.it_value = spec.it_interval;
	p->hurried = at_once;
	if (at_once)
		spec.it_value = (struct timespec) { .tv_nsec = 1 };
	timerfd_settime(p->timer_fd, 0, &spec, NULL);
}

static int subscribe(struct pubsub *p)
{
	static const enum wire_type wanted[] = { WIRE_MONITOR_START, WIRE_MONITOR_STOP,
		WIRE_PLUGIN_TERMINATE };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(wanted); i++) {
		const unsigned char prefix[] = { codec_prefix(wanted[i]), 0 };

		r = link_subscribe(&p->in, prefix, sizeof(prefix));
	}
	/* The last one: when it is in force all are. */
	return r < 0 ? r : link_subscribe(&p->in, p->probe, strlen(p->probe));
}

static void publish(struct source *s, enum wire_type type)
{
	struct pubsub *p = s->state;
	char message[EVENT_ABOUT_SELF_MAX];
	int n = event_about_self(&s->options, type, message, sizeof(message));

	if (n > 0)
		bus_send(p->out.socket, message, (size_t) n);
}

static void on_lost(struct source *s)
{
	struct pubsub *p = s->state;

	p->connected = false;
	p->said_away = true;
	say(s, true, "lost the event engine at", missing(p), ": waiting for it, measuring goes on");
}

static void send_probe(struct pubsub *p)
{
	bus_send(p->out.socket, p->probe, strlen(p->probe));
	p->n_probes++;
}

/* Says what has changed. An engine that came back is told again who is here. */
static void settle(struct source *s)
{
	struct pubsub *p = s->state;
	bool both = p->in.up && p->out.up;
	char text[320];

	if (!both || p->n_lives != p->in.n_lives + p->out.n_lives) {
		bool was_probing = p->n_probes > 0;

		p->n_lives = p->in.n_lives + p->out.n_lives;
		p->n_probes = 0;
		p->probed = false;
		if (p->connected)
			on_lost(s);
		else if (!was_probing && !both)
			return;
		set_timer(p, false);
	}
	if (!both || p->connected)
		return;
	if (p->n_probes == 0) {
		send_probe(p);
		set_timer(p, false);
	}
	if (!p->probed)
		return;
	p->connected = true;
	p->said_away = false;
	set_timer(p, false);
	snprintf(text, sizeof(text), "%s and %s", p->in.address, p->out.address);
	say(s, false, "connected to the event engine at", text, "");
	publish(s, WIRE_PLUGIN_STARTED);
}

static bool is_probe(const struct pubsub *p, zmq_msg_t *message)
{
	return zmq_msg_size(message) == strlen(p->probe) &&
		memcmp(zmq_msg_data(message), p->probe, strlen(p->probe)) == 0;
}

static void take_events(struct source *s, int *n_left)
{
	struct pubsub *p = s->state;

	while (!p->terminated && *n_left > 0 && p->in.socket && bus_readable(p->in.socket)) {
		zmq_msg_t message;
		int r = bus_receive(p->in.socket, &message);

		--*n_left;
		if (r == -EBADMSG) {
			s->owner.refused(
				s->owner.ctx, "", "a message of several parts is no event");
			continue;
		}
		if (r < 0)
			return;
		if (is_probe(p, &message))
			p->probed = true;
		else
			p->terminated = event_take(
				s, &p->event, zmq_msg_data(&message), zmq_msg_size(&message));
		zmq_msg_close(&message);
	}
}

static void on_timer(struct source *s)
{
	struct pubsub *p = s->state;

	if (p->connected)
		return;
	if (p->n_probes > 0 && p->n_probes < PROBES_MAX) {
		send_probe(p);
		return;
	}
	if (p->n_probes > 0) {
		say(s, true, "what is published at", p->out.address,
			" does not come back: is that the same engine's?");
		p->probed = true;
		return;
	}
	if (!p->said_away)
		say(s, true, "no event engine yet at", missing(p), ": waiting for it");
	p->said_away = true;
	if (link_is_stuck(&p->in) && link_mend(&p->in) == 0)
		subscribe(p);
	if (link_is_stuck(&p->out))
		link_mend(&p->out);
}

static void pubsub_work(struct source *s)
{
	struct pubsub *p = s->state;
	uint64_t expirations;
	int n_left = EVENTS_AT_A_TIME;
	bool look = read(p->timer_fd, &expirations, sizeof(expirations)) ==
		(ssize_t) sizeof(expirations);

	if (p->hurried) {
		look = false;
		set_timer(p, false);
	}
	do {
		link_work(&p->in);
		link_work(&p->out);
		take_events(s, &n_left);
		if (look)
			on_timer(s);
		look = false;
		if (!p->terminated)
			settle(s);
		if (n_left == 0) {
			set_timer(p, true); /* the descriptors tell of changes only */
			return;
		}
	} while (!p->terminated && (link_is_readable(&p->in) || link_is_readable(&p->out)));
}

static int open_link(
	struct pubsub *p, struct link *l, int type, const char *address, char *ret_why, size_t n)
{
	int r;

	*l = (struct link) {
		.zmq = p->zmq, .type = type, .address = address, .epoll_fd = p->epoll_fd
	};
	r = link_open(l);
	if (r < 0)
		snprintf(ret_why, n,
			"%s is no address to connect to: %s; one looks like tcp://engine:%s",
			address, zmq_strerror(-r), type == ZMQ_SUB ? "5560" : "5559");
	return r;
}

static int pubsub_open(struct source *s, char *ret_why, size_t n)
{
	struct pubsub *p = calloc(1, sizeof(*p));
	struct epoll_event event = { .events = EPOLLIN };
	int r;

	s->state = p;
	s->fd = -1;
	if (!p) {
		snprintf(ret_why, n, "out of memory");
		return -ENOMEM;
	}
	p->epoll_fd = p->timer_fd = -1;
	p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	p->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	p->zmq = zmq_ctx_new();
	if (p->epoll_fd < 0 || p->timer_fd < 0 || !p->zmq ||
		epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, p->timer_fd, &event) < 0) {
		snprintf(ret_why, n, "cannot make a socket: %s", strerror(errno));
		return -ENOMEM;
	}
	s->fd = p->epoll_fd;
	snprintf(p->probe, sizeof(p->probe), PROBE_HEAD " %d %" PRIu64, (int) getpid(),
		clock_mono_ns(&clock_system));
	r = open_link(p, &p->in, ZMQ_SUB, s->options.address, ret_why, n);
	if (r == 0)
		r = open_link(p, &p->out, ZMQ_XPUB, s->options.publish, ret_why, n);
	if (r < 0)
		return r;
	r = subscribe(p);
	if (r < 0)
		snprintf(ret_why, n, "cannot subscribe: %s", zmq_strerror(-r));
	set_timer(p, false);
	return r;
}

static void pubsub_leave(struct source *s, int timeout_ms)
{
	struct pubsub *p = s->state;

	link_work(&p->out);
	if (!p->out.up)
		return;
	publish(s, WIRE_PLUGIN_TERMINATING);
	p->linger_ms = timeout_ms;
}

static void pubsub_excuse(const struct source_options *options, int timeout_ms)
{
	(void) options;
	(void) timeout_ms; /* the engine does not know this plugin */
}

static void pubsub_close(struct source *s)
{
	struct pubsub *p = s->state;

	if (!p)
		return;
	link_close(&p->in, 0);
	link_close(&p->out, p->linger_ms);
	if (p->zmq)
		bus_leave(p->zmq, CLOSE_MS);
	close_fd(&p->epoll_fd);
	close_fd(&p->timer_fd);
	free(p);
	s->state = NULL;
}

const struct source_ops source_pubsub = {
	.name = "pubsub",
	.open = pubsub_open,
	.work = pubsub_work,
	.leave = pubsub_leave,
	.excuse = pubsub_excuse,
	.close = pubsub_close,
};
