// SPDX-License-Identifier: MIT
/*
 * Direct callers: a REP socket that answers as the event engine does, so that a sender cannot
 * tell the difference.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "events/bus.h"
#include "events/event.h"
#include "events/source.h"
#include "util/cleanup.h"

/* So that the last caller still gets its answer when the plugin goes. */
#define LINGER_MS 1000

struct listen {
	void *zmq;
	void *rep;
	struct request event;
	bool terminated;
};

static int listen_open(struct source *s, char *ret_why, size_t n)
{
	struct listen *l = calloc(1, sizeof(*l));
	char bound[256] = "";
	size_t len = sizeof(bound);
	char text[320];

	s->state = l;
	s->fd = -1;
	if (!l || !(l->zmq = zmq_ctx_new()) || !(l->rep = bus_socket(l->zmq, ZMQ_REP, LINGER_MS))) {
		snprintf(ret_why, n, "cannot make a socket: %s", zmq_strerror(errno));
		return -ENOMEM;
	}
	if (zmq_bind(l->rep, s->options.address) < 0) {
		int error = errno;

		snprintf(ret_why, n, "cannot listen at %s: %s%s", s->options.address,
			zmq_strerror(error),
			error == EADDRINUSE ? "; another program has that port, use --listen "
					      "tcp://127.0.0.1:PORT with another one"
					    : "; an address looks like tcp://127.0.0.1:6010");
		return -error;
	}
	s->fd = bus_socket_fd(l->rep);
	zmq_getsockopt(l->rep, ZMQ_LAST_ENDPOINT, bound, &len);
	snprintf(text, sizeof(text), "listening at %s", bound);
	s->owner.say(s->owner.ctx, false, text);
	return 0;
}

/* Works on one message; the reason of a refusal is in why. */
static int take_message(struct source *s, const void *message, size_t size, char *why, size_t n)
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
	if (l->event.kind == REQUEST_TERMINATE) {
		if (!event_is_for(&l->event, s->options.plugin_name, s->options.plugin_uuid))
			return 0;
		l->terminated = true;
	}
	return s->owner.take(s->owner.ctx, &l->event, why, n);
}

static void answer(struct source *s, int result, const char *why)
{
	struct listen *l = s->state;
	char text[REQUEST_WHY_MAX + 32];

	if (result == 0)
		snprintf(text, sizeof(text), "%s", BUS_PUBLISHED);
	else
		snprintf(text, sizeof(text), "%s: %s", BUS_BAD_MSG, why);
	bus_send(l->rep, text, strlen(text));
}

static void listen_work(struct source *s)
{
	struct listen *l = s->state;

	while (!l->terminated && bus_readable(l->rep)) {
		char why[REQUEST_WHY_MAX] = "";
		zmq_msg_t message;
		int r = bus_receive(l->rep, &message);

		if (r == -EBADMSG) {
			snprintf(why, sizeof(why), "a message of several parts is no event");
			s->owner.refused(s->owner.ctx, "", why);
		} else if (r < 0) {
			break;
		} else {
			r = take_message(s, zmq_msg_data(&message), zmq_msg_size(&message), why,
				sizeof(why));
			zmq_msg_close(&message);
		}
		answer(s, r, why);
	}
}

static void listen_leave(struct source *s, int timeout_ms)
{
	(void) s;
	(void) timeout_ms; /* nobody waits for a goodbye */
}

static void listen_close(struct source *s)
{
	struct listen *l = s->state;

	if (!l)
		return;
	if (l->rep)
		zmq_close(l->rep);
	if (l->zmq)
		zmq_ctx_term(l->zmq);
	free(l);
	s->state = NULL;
}

const struct source_ops source_listen = {
	.name = "listen",
	.open = listen_open,
	.work = listen_work,
	.leave = listen_leave,
	.close = listen_close,
};
