// SPDX-License-Identifier: MIT
#include "events/bus.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "events/source.h"

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
	int64_t largest = EVENT_MAX_BYTES;

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
