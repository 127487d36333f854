// SPDX-License-Identifier: MIT
#include "events/bus.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "events/source.h"
#include "util/cleanup.h"

/* A peer that vanished without a word is noticed after idle + count * interval = 20 s. */
#define KEEPALIVE_IDLE_S 5
#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_COUNT 3

static bool set_int(void *socket, int option, int value)
{
	return zmq_setsockopt(socket, option, &value, sizeof(value)) == 0;
}

void *bus_socket(void *zmq_context, int type, int linger_ms)
{
	void *socket = zmq_socket(zmq_context, type);
	int64_t largest = BUS_MAX_BYTES;

	if (!socket)
		return NULL;
	if (set_int(socket, ZMQ_LINGER, linger_ms) && set_int(socket, ZMQ_TCP_KEEPALIVE, 1) &&
		set_int(socket, ZMQ_TCP_KEEPALIVE_IDLE, KEEPALIVE_IDLE_S) &&
		set_int(socket, ZMQ_TCP_KEEPALIVE_INTVL, KEEPALIVE_INTERVAL_S) &&
		set_int(socket, ZMQ_TCP_KEEPALIVE_CNT, KEEPALIVE_COUNT) &&
		zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &largest, sizeof(largest)) == 0)
		return socket;
	zmq_close(socket);
	return NULL;
}

int bus_socket_fd(void *socket)
{
	int fd = -1;
	size_t n = sizeof(fd);

	return zmq_getsockopt(socket, ZMQ_FD, &fd, &n) == 0 ? fd : -1;
}

bool bus_readable(void *socket)
{
	int events = 0;
	size_t n = sizeof(events);

	return zmq_getsockopt(socket, ZMQ_EVENTS, &events, &n) == 0 && (events & ZMQ_POLLIN);
}

int bus_send(void *socket, const void *bytes, size_t n)
{
	return zmq_send(socket, bytes, n, ZMQ_DONTWAIT) < 0 ? -errno : 0;
}

int bus_receive(void *socket, zmq_msg_t *ret)
{
	bool several = false;

	zmq_msg_init(ret);
	for (;;) {
		if (zmq_msg_recv(ret, socket, ZMQ_DONTWAIT) < 0) {
			int r = -errno;

			zmq_msg_close(ret);
			return r;
		}
		if (!zmq_msg_more(ret))
			break;
		several = true;
	}
	if (several) {
		zmq_msg_close(ret);
		return -EBADMSG;
	}
	return 0;
}

void *bus_monitor(void *zmq_context, void *socket, int events)
{
	static atomic_uint n_monitors; /* each has a name of its own */
	char endpoint[64];
	void *monitor;

	snprintf(endpoint, sizeof(endpoint), "inproc://monitor-%u", ++n_monitors);
	if (zmq_socket_monitor(socket, endpoint, events) < 0)
		return NULL;
	monitor = zmq_socket(zmq_context, ZMQ_PAIR);
	if (!monitor || zmq_connect(monitor, endpoint) == 0)
		return monitor;
	zmq_close(monitor);
	return NULL;
}

/* Each event is two frames: its number (16 bits) and a value (32 bits), then the address. */
int bus_monitor_next_fd(void *monitor, int *ret_fd)
{
	uint16_t number = 0;

	*ret_fd = -1;
	while (number == 0 && bus_readable(monitor)) {
		bool more = true;

		for (bool first = true; more; first = false) {
			zmq_msg_t frame;
			int n;

			zmq_msg_init(&frame);
			n = zmq_msg_recv(&frame, monitor, ZMQ_DONTWAIT);
			if (first && n >= (int) (sizeof(number) + sizeof(int32_t))) {
				const char *bytes = zmq_msg_data(&frame);

				memcpy(&number, bytes, sizeof(number));
				memcpy(ret_fd, bytes + sizeof(number), sizeof(int32_t));
			}
			more = n >= 0 && zmq_msg_more(&frame);
			zmq_msg_close(&frame);
		}
	}
	return number;
}

int bus_monitor_next(void *monitor)
{
	int fd;

	return bus_monitor_next_fd(monitor, &fd);
}

struct end {
	void *zmq;
	int done_fd;
};

static void *end_zmq(void *arg)
{
	struct end *end = arg;

	zmq_ctx_term(end->zmq);
	eventfd_write(end->done_fd, 1);
	return NULL;
}

void bus_leave(void *zmq_context, int timeout_ms)
{
	struct end *end = malloc(sizeof(*end));
	int done_fd = eventfd(0, EFD_CLOEXEC);
	struct pollfd fd = { .fd = done_fd, .events = POLLIN };
	pthread_t thread;

	if (!end || done_fd < 0)
		goto out;
	*end = (struct end) { zmq_context, done_fd };
	if (pthread_create(&thread, NULL, end_zmq, end) != 0)
		goto out;
	if (poll(&fd, 1, timeout_ms) <= 0) {
		pthread_detach(thread);
		return;
	}
	pthread_join(thread, NULL);
out:
	close_fd(&done_fd);
	free(end);
}
