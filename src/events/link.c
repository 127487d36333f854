// SPDX-License-Identifier: MIT
#include "events/link.h"

#include <errno.h>
#include <sys/epoll.h>
#include <zmq.h>

#include "events/bus.h"
#include "machine/clock.h"

/* Who subscribes late misses what was published meanwhile, and the first events of an application
 * come within a second of its engine: so often ZeroMQ tries, and up to this much later. */
#define AGAIN_MS 250

/* A program that accepts a connection and does not greet is given up after so long. */
#define GREETING_MS 5000

#define GREETING_FAILED                                                               \
	(ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | \
		ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
#define TRYING (ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_CONNECT_DELAYED | ZMQ_EVENT_CONNECTED)

static bool set_int(void *socket, int option, int value)
{
	return zmq_setsockopt(socket, option, &value, sizeof(value)) == 0;
}

static void watch(const struct link *l, void *socket)
{
	struct epoll_event event = { .events = EPOLLIN };

	epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, bus_socket_fd(socket), &event);
}

static void unwatch(const struct link *l, void *socket)
{
	epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, bus_socket_fd(socket), NULL);
}

static uint64_t now_ns(void)
{
	return clock_mono_ns(&clock_system);
}

int link_open(struct link *l)
{
	const int events = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED |
		GREETING_FAILED | TRYING;
	int r;

	l->up = l->given_up = l->greeted = false;
	l->dialled_ns = 0;
	l->n_subscriptions = 0;
	l->monitor = NULL;
	l->socket = bus_socket(l->zmq, l->type, 0);
	/* ZMQ_IMMEDIATE: a connection that breaks takes its subscriptions along, so that those of the
	 * next one are told. It would also throw away what was received and not yet looked at. */
	if (!l->socket || !set_int(l->socket, ZMQ_RECONNECT_IVL, AGAIN_MS) ||
		!set_int(l->socket, ZMQ_HANDSHAKE_IVL, GREETING_MS) ||
		(l->type == ZMQ_XPUB && !set_int(l->socket, ZMQ_IMMEDIATE, 1)))
		goto fail;
	l->monitor = bus_monitor(l->zmq, l->socket, events);
	if (!l->monitor || zmq_connect(l->socket, l->address) < 0)
		goto fail;
	watch(l, l->socket);
	watch(l, l->monitor);
	return 0;
fail:
	r = -errno;
	link_close(l, 0);
	l->given_up = true;
	return r;
}

int link_subscribe(struct link *l, const void *prefix, size_t n)
{
	return zmq_setsockopt(l->socket, ZMQ_SUBSCRIBE, prefix, n) < 0 ? -errno : 0;
}

static void note_monitor(struct link *l)
{
	int number;

	while ((number = bus_monitor_next(l->monitor))) {
		l->dialled_ns = number == ZMQ_EVENT_CONNECTED ? now_ns() : 0;
		if (number == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
			l->greeted = true;
			l->n_lives++;
			l->given_up = false;
		} else if (number & TRYING) {
			l->given_up = false;
		} else {
			l->greeted = false;
			/* Until an event shows that there will be another attempt. */
			l->given_up = true;
		}
	}
}

/* Each is a message: 1 or 0, and the prefix that is subscribed to or no longer. */
static void note_subscriptions(struct link *l)
{
	while (bus_readable(l->socket)) {
		const unsigned char *text;
		zmq_msg_t message;
		int r = bus_receive(l->socket, &message);

		if (r == -EBADMSG)
			continue;
		if (r < 0)
			return;
		text = zmq_msg_data(&message);
		if (zmq_msg_size(&message) > 0 && text[0] <= 1)
			l->n_subscriptions += text[0] ? 1 : -1;
		zmq_msg_close(&message);
	}
}

void link_work(struct link *l)
{
	if (!l->socket)
		return;
	note_monitor(l);
	if (l->type == ZMQ_XPUB)
		note_subscriptions(l);
	l->up = l->greeted && (l->type != ZMQ_XPUB || l->n_subscriptions > 0);
}

bool link_is_readable(const struct link *l)
{
	return l->socket && (bus_readable(l->monitor) || bus_readable(l->socket));
}

bool link_is_stuck(const struct link *l)
{
	return l->given_up ||
		(l->dialled_ns > 0 && now_ns() - l->dialled_ns >= GREETING_MS * NS_PER_MS);
}

int link_mend(struct link *l)
{
	link_close(l, 0);
	return link_open(l);
}

void link_close(struct link *l, int linger_ms)
{
	if (l->socket) {
		unwatch(l, l->socket);
		zmq_socket_monitor(l->socket, NULL, 0);
		set_int(l->socket, ZMQ_LINGER, linger_ms);
		zmq_close(l->socket);
	}
	if (l->monitor) {
		unwatch(l, l->monitor);
		zmq_close(l->monitor);
	}
	l->socket = l->monitor = NULL;
	l->up = l->greeted = false;
}
