// SPDX-License-Identifier: MIT
/* Requests in all the forms that a ROUTER may receive, and what comes back. */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "events/envelope.h"

#define PATIENCE_MS 10000

static void *zmq, *router, *dealer;

static int set_up(void **state)
{
	const int mandatory = 1, none = 0, patience_ms = PATIENCE_MS;

	(void) state;
	zmq = zmq_ctx_new();
	router = zmq_socket(zmq, ZMQ_ROUTER);
	dealer = zmq_socket(zmq, ZMQ_DEALER);
	zmq_setsockopt(router, ZMQ_ROUTER_MANDATORY, &mandatory, sizeof(mandatory));
	zmq_setsockopt(dealer, ZMQ_RCVTIMEO, &patience_ms, sizeof(patience_ms));
	zmq_setsockopt(router, ZMQ_LINGER, &none, sizeof(none));
	zmq_setsockopt(dealer, ZMQ_LINGER, &none, sizeof(none));
	return zmq_bind(router, "inproc://router") || zmq_connect(dealer, "inproc://router");
}

static int tear_down(void **state)
{
	(void) state;
	zmq_close(router);
	zmq_close(dealer);
	zmq_ctx_term(zmq);
	return 0;
}

static void send_frames(const char *const *frames, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_int_not_equal(
			zmq_send(dealer, frames[i], strlen(frames[i]), i + 1 < n ? ZMQ_SNDMORE : 0),
			-1);
}

static void expect_frames(const char *const *frames, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char got[64];
		int more = 0, len = zmq_recv(dealer, got, sizeof(got) - 1, 0);
		size_t size = sizeof(more);

		assert_in_range(len, 0, sizeof(got) - 1);
		got[len] = '\0';
		assert_string_equal(got, frames[i]);
		zmq_getsockopt(dealer, ZMQ_RCVMORE, &more, &size);
		assert_int_equal(more, i + 1 < n);
	}
}

/* Sends these frames, expects that message and fault, and these frames as an answer. */
static void exchange(const char *const *frames, size_t n, const char *message,
	enum envelope_fault fault, const char *const *answer, size_t n_answer)
{
	enum envelope_fault got_fault;
	struct envelope e;
	zmq_msg_t got;

	send_frames(frames, n);
	assert_int_equal(envelope_receive(router, &e, &got, &got_fault), 0);
	assert_int_equal(got_fault, fault);
	assert_int_equal(zmq_msg_size(&got), strlen(message));
	assert_memory_equal(zmq_msg_data(&got), message, strlen(message));
	zmq_msg_close(&got);
	assert_int_equal(envelope_answer(router, &e, "yes", 3), 0);
	envelope_finish(&e);
	expect_frames(answer, n_answer);
	assert_int_equal(envelope_receive(router, &e, &got, &got_fault), -EAGAIN);
}

#define FRAMES(...)                            \
	(const char *const[]) { __VA_ARGS__ }, \
		sizeof((const char *const[]) { __VA_ARGS__ }) / sizeof(char *)

static void test_a_request(void **state)
{
	(void) state;
	exchange(FRAMES("", "event"), "event", ENVELOPE_GOOD, FRAMES("", "yes"));
	exchange(FRAMES("", ""), "", ENVELOPE_GOOD, FRAMES("", "yes"));
}

static void test_through_proxies(void **state)
{
	(void) state;
	exchange(
		FRAMES("a", "b", "", "event"), "event", ENVELOPE_GOOD, FRAMES("a", "b", "", "yes"));
	exchange(FRAMES("1", "2", "3", "4", "5", "6", "", "event"), "event", ENVELOPE_GOOD,
		FRAMES("1", "2", "3", "4", "5", "6", "", "yes"));
}

static void test_several_parts(void **state)
{
	(void) state;
	exchange(FRAMES("", "one", "two"), "", ENVELOPE_SEVERAL_PARTS, FRAMES("", "yes"));
	exchange(FRAMES("a", "", "one", "", "three"), "", ENVELOPE_SEVERAL_PARTS,
		FRAMES("a", "", "yes"));
}

static void test_without_an_empty_frame(void **state)
{
	(void) state;
	exchange(FRAMES("event"), "", ENVELOPE_NO_DELIMITER, FRAMES("yes"));
	exchange(FRAMES("a", "event"), "", ENVELOPE_NO_DELIMITER, FRAMES("yes"));
	/* More in front of it than any row of proxies adds. */
	exchange(FRAMES("1", "2", "3", "4", "5", "6", "7", "8", "", "event"), "",
		ENVELOPE_NO_DELIMITER, FRAMES("yes"));
}

static void test_a_probe_gets_no_answer(void **state)
{
	enum envelope_fault fault;
	struct envelope e;
	zmq_msg_t message;

	(void) state;
	send_frames(FRAMES(""));
	assert_int_equal(envelope_receive(router, &e, &message, &fault), -ENOMSG);
	send_frames(FRAMES("a", ""));
	assert_int_equal(envelope_receive(router, &e, &message, &fault), -ENOMSG);
	exchange(FRAMES("", "event"), "event", ENVELOPE_GOOD, FRAMES("", "yes"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_request, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_through_proxies, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_several_parts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_without_an_empty_frame, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_probe_gets_no_answer, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
