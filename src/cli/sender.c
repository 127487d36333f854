// SPDX-License-Identifier: MIT
#include "cli/sender.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/cli.h"
#include "daemon/waiter.h"
#include "events/bus.h"
#include "util/cleanup.h"
#include "util/timestamp.h"

int sender_bind_waiter(char *created, size_t n)
{
	CLEANUP_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int64_t wall_ns = clock_wall_ns(&clock_system);

	if (fd < 0)
		return -errno;
	for (int i = 0; i < 1000; i++) {
		struct sockaddr_un address;
		socklen_t size;

		timestamp_utc_naive(wall_ns + i * 1000, created, n);
		waiter_address(created, &address, &size);
		if (bind(fd, (struct sockaddr *) &address, size) == 0)
			return take_fd(&fd);
		if (errno != EADDRINUSE)
			break;
	}
	return -errno;
}

/* The reason stands behind words that are the same in every refusal. */
static void tell_refusal(const char *command, const char *reply, size_t n)
{
	size_t head = strlen(BUS_BAD_MSG ": ");

	if (n > head && memcmp(reply, BUS_BAD_MSG ": ", head) == 0) {
		reply += head;
		n -= head;
	}
	cli_fail(command, "refused: %.*s", (int) n, reply);
}

/* Sends the message and explains an answer that is not the good one. */
static int exchange(const char *command, const char *to, const void *message, size_t n)
{
	void *zmq = zmq_ctx_new();
	void *req = zmq ? bus_socket(zmq, ZMQ_REQ, 0) : NULL;
	zmq_msg_t reply;
	int r = CLI_FAILED;

	zmq_msg_init(&reply);
	if (!req || zmq_connect(req, to) < 0) {
		cli_fail(command, "%s: %s; an address looks like tcp://127.0.0.1:6010", to,
			zmq_strerror(errno));
	} else {
		zmq_pollitem_t item = { .socket = req, .events = ZMQ_POLLIN };

		if (bus_send(req, message, n) < 0 ||
			zmq_poll(&item, 1, SENDER_REPLY_NS / NS_PER_MS) <= 0 ||
			zmq_msg_recv(&reply, req, ZMQ_DONTWAIT) < 0) {
			cli_fail(command,
				"no answer from %s within %d s: is a plugin or engine running there? "
				"`powermeasure plugin` starts one",
				to, (int) (SENDER_REPLY_NS / NS_PER_S));
		} else if (zmq_msg_size(&reply) == strlen(BUS_PUBLISHED) &&
			memcmp(zmq_msg_data(&reply), BUS_PUBLISHED, strlen(BUS_PUBLISHED)) == 0) {
			r = CLI_DONE;
		} else {
			tell_refusal(command, zmq_msg_data(&reply), zmq_msg_size(&reply));
		}
	}
	zmq_msg_close(&reply);
	if (req)
		zmq_close(req);
	if (zmq)
		zmq_ctx_term(zmq);
	return r;
}

int sender_send(const char *command, const char *to, const struct wire_event *event)
{
	size_t max = event->n_pids * sizeof(event->pids[0]) + 4096;
	CLEANUP_FREE char *message = malloc(max);
	int n = message ? codec_encode(event, message, max) : -ENOMEM;

	if (n < 0)
		return cli_fail(command, "%s", strerror(-n));
	return exchange(command, to, message, (size_t) n);
}

bool sender_hear(int fd, uint64_t until_ns, char *ret, size_t n)
{
	struct pollfd item = { .fd = fd, .events = POLLIN };
	uint64_t now_ns = clock_mono_ns(&clock_system);
	int timeout = -1;
	ssize_t got;

	if (until_ns != UINT64_MAX)
		timeout = until_ns > now_ns ? (int) ((until_ns - now_ns) / NS_PER_MS) + 1 : 0;
	if (poll(&item, 1, timeout) <= 0)
		return false;
	got = recv(fd, ret, n - 1, 0);
	if (got < 0)
		return false;
	ret[got] = '\0';
	return true;
}

const char *sender_word(const char *text, const char *head)
{
	return strncmp(text, head, strlen(head)) == 0 ? text + strlen(head) : NULL;
}
