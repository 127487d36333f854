// SPDX-License-Identifier: MIT
/*
 * Direct callers: a ROUTER socket that answers as the event engine's REP does, so that a sender cannot
 * tell the difference; see events/envelope.h for why it is not a REP.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "events/bus.h"
#include "events/callers.h"
#include "events/envelope.h"
#include "events/event.h"
#include "events/source.h"
#include "machine/clock.h"
#include "util/cleanup.h"

/* So that the last caller still gets its answer when the plugin goes. */
#define LINGER_MS 1000

/* At most this many messages before everything else in the loop has a turn. */
#define MESSAGES_AT_A_TIME 256

/* Messages of one caller that wait for their turn, and answers that it has not read: more of the first
 * wait at the sender, more of the second are dropped. A REQ has one at a time. */
#define WAITING_MAX 64

/* A caller that connects and does not greet is given up after this. */
#define GREETING_MS 5000

/* A burst of connections that the kernel keeps until they are accepted. */
#define BACKLOG 1024

/* The same complaint about callers is not repeated before this has passed. */
#define COMPLAIN_EVERY_NS (10 * NS_PER_S)

/* A complaint that may come in floods. */
struct complaint {
	uint64_t n; /* how often there was a reason for it */
	uint64_t next_ns;
};

struct listen {
	void *zmq;
	void *router;
	void *monitor; /* reports connections */
	int epoll_fd;
	int more_fd; /* an eventfd: messages were left for the next turn */
	struct callers callers;
	struct complaint crowd;
	struct complaint unread;
	struct request event;
	bool terminated;
};

static bool set_int(void *socket, int option, int value)
{
	return zmq_setsockopt(socket, option, &value, sizeof(value)) == 0;
}

/* ZMTP 1.0 has no greeting: libzmq takes whatever a stranger sends, a TLS handshake, too, for one of its
 * peers, and aborts where such bytes arrive while the socket is being closed (zmtp_engine.cpp, errno_assert
 * after push_msg). A socket with a ZAP domain refuses such peers; nobody answers for the domain, and
 * everybody who greets is let in as before. */
static bool refuse_unversioned(void *socket)
{
	return zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, "powermeasure", strlen("powermeasure")) == 0;
}

static bool watch(struct listen *l, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };

	return fd >= 0 && epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static int make_sockets(struct listen *l)
{
	const int events = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED;

	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	l->more_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->zmq = zmq_ctx_new();
	if (l->epoll_fd < 0 || l->more_fd < 0 || !l->zmq)
		return -errno;
	l->router = bus_socket(l->zmq, ZMQ_ROUTER, LINGER_MS);
	if (!l->router || !set_int(l->router, ZMQ_ROUTER_MANDATORY, 1) ||
		!set_int(l->router, ZMQ_RCVHWM, WAITING_MAX) ||
		!set_int(l->router, ZMQ_SNDHWM, WAITING_MAX) ||
		!set_int(l->router, ZMQ_HANDSHAKE_IVL, GREETING_MS) ||
		!set_int(l->router, ZMQ_BACKLOG, BACKLOG) || !refuse_unversioned(l->router))
		return -errno;
	l->monitor = bus_monitor(l->zmq, l->router, events);
	if (!l->monitor || !watch(l, l->more_fd) || !watch(l, bus_socket_fd(l->router)) ||
		!watch(l, bus_socket_fd(l->monitor)))
		return -errno;
	return 0;
}

static int listen_open(struct source *s, char *ret_why, size_t n)
{
	struct listen *l = calloc(1, sizeof(*l));
	char bound[256] = "";
	size_t len = sizeof(bound);
	char text[320];
	int r;

	s->state = l;
	s->fd = -1;
	if (!l) {
		snprintf(ret_why, n, "out of memory");
		return -ENOMEM;
	}
	l->epoll_fd = l->more_fd = -1;
	callers_init(&l->callers);
	r = make_sockets(l);
	if (r < 0) {
		snprintf(ret_why, n, "cannot make a socket: %s", zmq_strerror(-r));
		return r;
	}
	if (zmq_bind(l->router, s->options.address) < 0) {
		int error = errno;

		snprintf(ret_why, n, "cannot listen at %s: %s%s", s->options.address,
			zmq_strerror(error),
			error == EADDRINUSE ? "; another program has that port, use --listen "
					      "tcp://127.0.0.1:PORT with another one"
					    : "; an address looks like tcp://127.0.0.1:6010");
		return -error;
	}
	s->fd = l->epoll_fd;
	zmq_getsockopt(l->router, ZMQ_LAST_ENDPOINT, bound, &len);
	snprintf(text, sizeof(text), "listening at %s", bound);
	s->owner.say(s->owner.ctx, false, text);
	return 0;
}

/* Whether the complaint, for which there is one more reason now, is to be said. */
static bool is_due(struct complaint *c, uint64_t now_ns)
{
	c->n++;
	if (now_ns < c->next_ns)
		return false;
	c->next_ns = now_ns + COMPLAIN_EVERY_NS;
	return true;
}

static void work_on_monitor(struct source *s, uint64_t now_ns)
{
	struct listen *l = s->state;
	char text[160];
	int number, fd;

	while ((number = bus_monitor_next_fd(l->monitor, &fd))) {
		if (number == ZMQ_EVENT_ACCEPTED)
			callers_add(&l->callers, fd, now_ns);
		else
			callers_remove(&l->callers, fd);
	}
	if (callers_make_room(&l->callers) == 0 || !is_due(&l->crowd, now_ns))
		return;
	snprintf(text, sizeof(text),
		"more than %zu connections: closed those idle longest (%" PRIu64 " in all)",
		l->callers.max, l->callers.n_closed);
	s->owner.say(s->owner.ctx, true, text);
}

/* Works on one message; the reason of a refusal is in why. */
static int take_message(
	struct source *s, const void *message, size_t size, uint64_t sender, char *why, size_t n)
{
	struct listen *l = s->state;
	int r;

	if (size >= strlen(BUS_COMMAND) && memcmp(message, BUS_COMMAND, strlen(BUS_COMMAND)) == 0) {
		snprintf(why, n, "this is a power meter and no engine: it takes events only");
		s->owner.refused(s->owner.ctx, "", why);
		return -EBADMSG;
	}
	r = event_decode(message, size, s->options.monitor_types, &l->event, why, n);
	if (r < 0) {
		s->owner.refused(s->owner.ctx, l->event.create_ts, why);
		return r;
	}
	l->event.sender = sender;
	if (l->event.kind == REQUEST_TERMINATE) {
		if (!event_is_for(&l->event, s->options.plugin_name, s->options.plugin_uuid))
			return 0;
		l->terminated = true;
	}
	return s->owner.take(s->owner.ctx, &l->event, why, n);
}

static int refuse_form(struct source *s, enum envelope_fault fault, char *why, size_t n)
{
	snprintf(why, n, "%s",
		fault == ENVELOPE_SEVERAL_PARTS
			? "a message of several parts is no event"
			: "no empty frame before the message: send it over a REQ socket");
	s->owner.refused(s->owner.ctx, "", why);
	return -EBADMSG;
}

static void answer(struct source *s, struct envelope *e, int result, const char *why)
{
	struct listen *l = s->state;
	char text[REQUEST_WHY_MAX + 32];
	int r;

	if (result == 0)
		snprintf(text, sizeof(text), "%s", BUS_PUBLISHED);
	else
		snprintf(text, sizeof(text), "%s: %s", BUS_BAD_MSG, why);
	r = envelope_answer(l->router, e, text, strlen(text));
	if (r != -EAGAIN || !is_due(&l->unread, clock_mono_ns(&clock_system)))
		return;
	snprintf(text, sizeof(text),
		"a sender does not read its answers: %" PRIu64 " dropped in all", l->unread.n);
	s->owner.say(s->owner.ctx, true, text);
}

static void work_on_message(struct source *s, struct envelope *e, zmq_msg_t *message,
	enum envelope_fault fault, uint64_t now_ns)
{
	struct listen *l = s->state;
	char why[REQUEST_WHY_MAX] = "";
	uint64_t sender = callers_heard(&l->callers, e->fd, now_ns);
	int r;

	if (fault == ENVELOPE_GOOD)
		r = take_message(
			s, zmq_msg_data(message), zmq_msg_size(message), sender, why, sizeof(why));
	else
		r = refuse_form(s, fault, why, sizeof(why));
	answer(s, e, r, why);
}

static void listen_work(struct source *s)
{
	struct listen *l = s->state;
	uint64_t now_ns = clock_mono_ns(&clock_system);
	eventfd_t count;

	eventfd_read(l->more_fd, &count);
	work_on_monitor(s, now_ns);
	for (int i = 0; !l->terminated && bus_readable(l->router); i++) {
		enum envelope_fault fault;
		struct envelope e;
		zmq_msg_t message;
		int r;

		if (i == MESSAGES_AT_A_TIME) {
			eventfd_write(l->more_fd, 1); /* ZeroMQ's descriptor shows changes only */
			return;
		}
		r = envelope_receive(l->router, &e, &message, &fault);
		if (r == -ENOMSG)
			continue;
		if (r < 0)
			break;
		work_on_message(s, &e, &message, fault, now_ns);
		zmq_msg_close(&message);
		envelope_finish(&e);
	}
}

static void listen_leave(struct source *s, int timeout_ms)
{
	(void) s;
	(void) timeout_ms; /* nobody waits for a goodbye */
}

static void listen_excuse(const struct source_options *options, int timeout_ms)
{
	(void) options;
	(void) timeout_ms; /* a sender finds nobody at the port */
}

static void listen_close(struct source *s)
{
	struct listen *l = s->state;

	if (!l)
		return;
	if (l->router) {
		zmq_socket_monitor(l->router, NULL, 0);
		zmq_close(l->router);
	}
	if (l->monitor)
		zmq_close(l->monitor);
	if (l->zmq)
		zmq_ctx_term(l->zmq);
	callers_finish(&l->callers);
	close_fd(&l->epoll_fd);
	close_fd(&l->more_fd);
	free(l);
	s->state = NULL;
}

const struct source_ops source_listen = {
	.name = "listen",
	.open = listen_open,
	.work = listen_work,
	.leave = listen_leave,
	.excuse = listen_excuse,
	.close = listen_close,
};
