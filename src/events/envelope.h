// SPDX-License-Identifier: MIT
/*
 * Requests as a ROUTER socket receives them, and their answers.
 *
 * A REQ peer sends an empty frame and then its message; proxies on the way put a frame each in front. An
 * answer repeats all that, the empty frame included. A REP socket does the same by itself, but keeps one
 * state for all peers: bytes that are not ZMTP, from anybody who reaches the port, make it lose the
 * answers to others.
 */
#ifndef PM_EVENTS_ENVELOPE_H
#define PM_EVENTS_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <zmq.h>

/* The routing id of the connection, the ids that proxies add, the empty frame. */
#define ENVELOPE_FRAMES_MAX 8

struct envelope {
	zmq_msg_t frames[ENVELOPE_FRAMES_MAX];
	size_t n;
	int fd; /* the connection's, for telling peers apart; -1: not known */
};

enum envelope_fault {
	ENVELOPE_GOOD,
	ENVELOPE_SEVERAL_PARTS, /* more than one frame after the empty one */
	ENVELOPE_NO_DELIMITER,  /* no empty frame: not from a REQ socket */
};

/* Receives one request without waiting. Returns 0 with the envelope, to be freed with envelope_finish(),
 * the message, to be closed with zmq_msg_close(), and what is wrong with it (the message is empty then; it
 * can be answered all the same). -EAGAIN: there is none; -ENOMSG: one that expects no answer, such as
 * the empty frame of ZMQ_PROBE_ROUTER, was thrown away. */
int envelope_receive(
	void *router, struct envelope *ret, zmq_msg_t *ret_message, enum envelope_fault *ret_fault);

/* Sends the answer without waiting; the envelope's frames are used up. Returns 0; -EAGAIN where the peer
 * does not read its answers; -EHOSTUNREACH where its connection has closed; another -errno. */
int envelope_answer(void *router, struct envelope *e, const void *bytes, size_t n);

void envelope_finish(struct envelope *e);

#endif
