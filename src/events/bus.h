// SPDX-License-Identifier: MIT
/* What the sources and the senders on the bus have in common: the texts of its protocol, and how
 * a socket is set up. */
#ifndef PM_EVENTS_BUS_H
#define PM_EVENTS_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <zmq.h>

#define BUS_NEXT_MSG "plugin_command: next_msg"
#define BUS_QUIT "plugin_command: quit"
#define BUS_COMMAND "plugin_command:"
#define BUS_PUBLISHED "event-engine: msg published"
#define BUS_BAD_MSG "event-engine: bad msg"

/* The largest message that is received, so that one over EVENT_MAX_BYTES can be answered; ZeroMQ closes
 * the connection of a larger one. */
#define BUS_MAX_BYTES (16 * 1024 * 1024)

/* Makes a socket that notices a dead peer without waking this process (TCP keepalive, not
 * heartbeats), takes no oversized message and lingers for so long when it is closed. NULL with
 * errno set if that fails. */
void *bus_socket(void *zmq_context, int type, int linger_ms);

/* The descriptor that tells when the socket needs attention; -1: none. */
int bus_socket_fd(void *socket);

/* Whether the socket has a message. Must be asked after every send and receive, since the
 * descriptor tells of changes only. */
bool bus_readable(void *socket);

/* Sends text or bytes as one message without waiting. Returns 0 or -errno. */
int bus_send(void *socket, const void *bytes, size_t n);

/* Receives one message without waiting. Returns 0 and the message, to be closed with
 * zmq_msg_close(); -EAGAIN when there is none; -EBADMSG for a message of several parts, which are
 * all thrown away; another -errno. */
int bus_receive(void *socket, zmq_msg_t *ret);

/* Makes a socket that tells what becomes of another one's connection: those of ZeroMQ's events.
 * NULL with errno set if that fails. */
void *bus_monitor(void *zmq_context, void *socket, int events);

/* The next of them without waiting; 0: there is none. */
int bus_monitor_next(void *monitor);

/* The same, and the descriptor that an event of a connection names. */
int bus_monitor_next_fd(void *monitor, int *ret_fd);

/* Ends ZeroMQ, whose sockets are closed already. It does not end while it looks up a name, which may
 * take longer than anybody waits for us: after timeout_ms it is left behind, with a thread. */
void bus_leave(void *zmq_context, int timeout_ms);

#endif
