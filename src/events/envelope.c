// SPDX-License-Identifier: MIT
#include "events/envelope.h"

#include <errno.h>
#include <string.h>

/* A message while its frames come in. */
struct incoming {
	struct envelope *envelope;
	zmq_msg_t *message;
	bool delimited;
	bool crowded; /* more frames before the empty one than there is room for */
	size_t n_parts;
};

/* Takes over the frame where it has a place. */
static void take_frame(struct incoming *in, zmq_msg_t *frame)
{
	struct envelope *e = in->envelope;

	if (in->delimited) {
		if (in->n_parts++ == 0)
			zmq_msg_move(in->message, frame);
		return;
	}
	if (e->n > 0 && zmq_msg_size(frame) == 0)
		in->delimited = true;
	if (e->n == ENVELOPE_FRAMES_MAX) {
		in->crowded = true;
		return;
	}
	zmq_msg_init(&e->frames[e->n]);
	zmq_msg_move(&e->frames[e->n++], frame);
}

static int receive_frames(void *router, struct incoming *in)
{
	bool more = true;

	while (more) {
		zmq_msg_t frame;

		zmq_msg_init(&frame);
		if (zmq_msg_recv(&frame, router, ZMQ_DONTWAIT) < 0) {
			zmq_msg_close(&frame);
			return -errno;
		}
		more = zmq_msg_more(&frame);
		if (in->envelope->n == 1)
			in->envelope->fd = zmq_msg_get(&frame, ZMQ_SRCFD);
		take_frame(in, &frame);
		zmq_msg_close(&frame);
	}
	return 0;
}

/* Only the connection's own id is left of an envelope that is not one. */
static void keep_first(struct envelope *e)
{
	while (e->n > 1)
		zmq_msg_close(&e->frames[--e->n]);
}

static void empty_message(zmq_msg_t *message)
{
	zmq_msg_close(message);
	zmq_msg_init(message);
}

int envelope_receive(
	void *router, struct envelope *ret, zmq_msg_t *ret_message, enum envelope_fault *ret_fault)
{
	struct incoming in = { .envelope = ret, .message = ret_message };
	int r;

	ret->n = 0;
	ret->fd = -1;
	zmq_msg_init(ret_message);
	r = receive_frames(router, &in);
	if (r == 0 && in.delimited && in.n_parts == 0)
		r = -ENOMSG;
	if (r < 0) {
		zmq_msg_close(ret_message);
		envelope_finish(ret);
		return r;
	}
	*ret_fault = ENVELOPE_GOOD;
	if (!in.delimited || in.crowded) {
		keep_first(ret);
		*ret_fault = ENVELOPE_NO_DELIMITER;
	} else if (in.n_parts > 1) {
		*ret_fault = ENVELOPE_SEVERAL_PARTS;
	}
	if (*ret_fault != ENVELOPE_GOOD)
		empty_message(ret_message);
	return 0;
}

int envelope_answer(void *router, struct envelope *e, const void *bytes, size_t n)
{
	for (size_t i = 0; i < e->n; i++)
		if (zmq_msg_send(&e->frames[i], router, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0)
			return -errno;
	return zmq_send(router, bytes, n, ZMQ_DONTWAIT) < 0 ? -errno : 0;
}

void envelope_finish(struct envelope *e)
{
	while (e->n > 0)
		zmq_msg_close(&e->frames[--e->n]);
}
