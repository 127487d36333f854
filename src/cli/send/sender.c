// SPDX-License-Identifier: MIT
#include "cli/send/sender.h"

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
#include "util/fdroom.h"
#include "util/timestamp.h"

/* Nothing is to be sent any more when ZeroMQ ends: longer than this only a look-up of a name takes,
 * which nobody waits for. */
#define CLOSE_MS 200

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
static int tell_refusal(const char *command, const char *reply, size_t n)
{
	size_t head = strlen(BUS_BAD_MSG ": ");

	if (n > head && memcmp(reply, BUS_BAD_MSG ": ", head) == 0) {
		reply += head;
		n -= head;
	}
	return cli_fail(command, "refused: %.*s", (int) n, reply);
}

/* Waits for the answer; false if none came. ret_dialled: whether it came as far as an address. */
static bool await_answer(void *req, void *monitor, bool *ret_dialled)
{
	uint64_t now_ns = clock_mono_ns(&clock_system), until_ns = now_ns + SENDER_REPLY_NS;
	zmq_pollitem_t items[] = { { .socket = req, .events = ZMQ_POLLIN },
		{ .socket = monitor, .events = ZMQ_POLLIN } };

	*ret_dialled = false;
	for (; now_ns < until_ns; now_ns = clock_mono_ns(&clock_system)) {
		int event;

		if (zmq_poll(items, 2, (long) ((until_ns - now_ns) / NS_PER_MS) + 1) < 0)
			return false;
		if (items[0].revents)
			return true;
		while ((event = bus_monitor_next(monitor))) {
			/* Before anything was tried: there is no address to try it with. */
			if (event == ZMQ_EVENT_CONNECT_RETRIED && !*ret_dialled)
				return false;
			*ret_dialled = true;
		}
	}
	return false;
}

/* Sends the message over a socket that is set up, and explains an answer that is not the good one. */
static int exchange(const char *command, const char *to, void *req, void *monitor,
	const void *message, size_t n)
{
	bool dialled = true;
	zmq_msg_t reply;
	int r;

	if (zmq_connect(req, to) < 0)
		return cli_fail(command, "%s: %s; an address looks like tcp://127.0.0.1:6010", to,
			zmq_strerror(errno));
	zmq_msg_init(&reply);
	if (bus_send(req, message, n) < 0 || !await_answer(req, monitor, &dialled) ||
		zmq_msg_recv(&reply, req, ZMQ_DONTWAIT) < 0)
		r = dialled
			? cli_fail(command,
				  "no answer from %s within %d s: is a plugin or engine running there? "
				  "`powermeasure plugin` starts one",
				  to, (int) (SENDER_REPLY_NS / NS_PER_S))
			: cli_fail(command,
				  "%s: its host's name cannot be looked up; is it spelled so, and is "
				  "there a network?",
				  to);
	else if (zmq_msg_size(&reply) == strlen(BUS_PUBLISHED) &&
		memcmp(zmq_msg_data(&reply), BUS_PUBLISHED, strlen(BUS_PUBLISHED)) == 0)
		r = CLI_DONE;
	else
		r = tell_refusal(command, zmq_msg_data(&reply), zmq_msg_size(&reply));
	zmq_msg_close(&reply);
	return r;
}

static int connect_and_exchange(const char *command, const char *to, const void *message, size_t n)
{
	const int events = ZMQ_EVENT_CONNECT_DELAYED | ZMQ_EVENT_CONNECTED | ZMQ_EVENT_CLOSED |
		ZMQ_EVENT_CONNECT_RETRIED;
	void *zmq = zmq_ctx_new();
	void *req = zmq ? bus_socket(zmq, ZMQ_REQ, 0) : NULL;
	void *monitor = req ? bus_monitor(zmq, req, events) : NULL;
	int r;

	if (monitor)
		r = exchange(command, to, req, monitor, message, n);
	else
		r = cli_fail(command, "cannot make a socket: %s", zmq_strerror(errno));
	if (monitor)
		zmq_close(monitor);
	if (req)
		zmq_close(req);
	if (zmq)
		bus_leave(zmq, CLOSE_MS);
	return r;
}

/* libzmq ends the program where it gets none. */
#define FEWEST_FILES 32

int sender_send(const char *command, const char *to, const struct wire_event *event)
{
	size_t max = event->n_pids * sizeof(event->pids[0]) + 4096;
	CLEANUP_FREE char *message = malloc(max);
	int n = message ? codec_encode(event, message, max) : -ENOMEM;
	char why[128];

	if (n < 0)
		return cli_fail(command, "cannot make the event: %s", strerror(-n));
	if (fdroom_check(FEWEST_FILES, why, sizeof(why)) < 0)
		return cli_fail(command, "%s", why);
	return connect_and_exchange(command, to, message, (size_t) n);
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
