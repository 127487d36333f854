// SPDX-License-Identifier: MIT
#include "test.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "random.h"
#include "util/ring.h"
#include "wait.h"

/* A block says its number and is filled with bytes that follow from it. */
static void fill(void *block, size_t n, uint64_t number)
{
	unsigned char *at = block;

	memcpy(block, &number, sizeof(number));
	for (size_t i = sizeof(number); i < n; i++)
		at[i] = (unsigned char) (number + i);
}

static bool is_filled(const void *block, size_t n, uint64_t number)
{
	const unsigned char *at = block;

	if (n < sizeof(number) || memcmp(block, &number, sizeof(number)) != 0)
		return false;
	for (size_t i = sizeof(number); i < n; i++)
		if (at[i] != (unsigned char) (number + i))
			return false;
	return true;
}

static void put(struct ring *r, size_t n, uint64_t number)
{
	void *block = ring_begin(r, n, false);

	assert_non_null(block);
	assert_int_equal((uintptr_t) block % 16, 0);
	fill(block, n, number);
	ring_commit(r, n);
}

static void take(struct ring *r, size_t n, uint64_t number)
{
	size_t have = 0;
	const void *block = ring_peek(r, &have);

	assert_non_null(block);
	assert_int_equal(have, n);
	assert_true(is_filled(block, n, number));
	/* It stays until it is popped. */
	assert_ptr_equal(ring_peek(r, NULL), block);
	ring_pop(r);
}

static void test_one_by_one(void **state)
{
	struct ring r;

	(void) state;
	assert_int_equal(ring_init(&r, 5000, 0), 0);
	assert_int_equal(r.size, 8192);
	assert_null(ring_peek(&r, NULL));
	/* Often around, with lengths that do not divide it. */
	for (uint64_t i = 0; i < 2000; i++) {
		put(&r, 8 + i * 37 % 900, i);
		take(&r, 8 + i * 37 % 900, i);
		assert_null(ring_peek(&r, NULL));
	}
	ring_finish(&r);
	ring_finish(&r);
}

/* Filled to the brim, however the lengths fall, nothing is lost and nothing is overwritten. */
static void test_full(void **state)
{
	uint64_t seed = rng_seed();

	(void) state;
	for (uint64_t c = 0; c < 200; c++) {
		struct rng rng = rng_make(seed, c);
		size_t lengths[512];
		uint64_t first = 0, next = 0;
		struct ring r;

		assert_int_equal(ring_init(&r, 4096, 0), 0);
		for (int step = 0; step < 2000; step++) {
			size_t n = 8 + rng_below(&rng, 500);
			void *block = rng_one_in(&rng, 2) ? ring_begin(&r, n, false) : NULL;

			if (block) {
				fill(block, n, next);
				/* What was begun can be taken back, and made smaller at its end. */
				if (rng_one_in(&rng, 5))
					continue;
				if (rng_one_in(&rng, 5))
					n = 8 + rng_below(&rng, n - 7);
				ring_commit(&r, n);
				lengths[next++ % 512] = n;
			} else if (first < next) {
				take(&r, lengths[first % 512], first);
				first++;
			} else {
				assert_null(ring_peek(&r, NULL));
			}
		}
		while (first < next) {
			take(&r, lengths[first % 512], first);
			first++;
		}
		assert_null(ring_peek(&r, NULL));
		ring_finish(&r);
	}
}

static void test_reserve(void **state)
{
	struct ring r;
	uint64_t n = 0, taken = 0;

	(void) state;
	assert_int_equal(ring_init(&r, 4096, 1024), 0);
	while (ring_begin(&r, 100, false)) {
		put(&r, 100, n);
		n++;
	}
	assert_int_equal(n, (4096 - 1024) / 128);
	/* The reserve is there for those that may use it, until that is full, too. */
	for (void *block; (block = ring_begin(&r, 100, true)); n++) {
		fill(block, 100, n);
		ring_commit(&r, 100);
	}
	assert_int_equal(n, 4096 / 128);
	assert_null(ring_begin(&r, 8, false));
	/* Ordinary blocks fit again once the reserve is free again. */
	for (; taken < 8; taken++) {
		take(&r, 100, taken);
		assert_null(ring_begin(&r, 100, false));
	}
	take(&r, 100, taken++);
	put(&r, 100, n++);
	while (taken < n)
		take(&r, 100, taken++);
	assert_null(ring_peek(&r, NULL));
	ring_finish(&r);
}

static void test_too_large(void **state)
{
	struct ring r;

	(void) state;
	assert_int_equal(ring_init(&r, 4096, 0), 0);
	assert_null(ring_begin(&r, 4096, true));
	assert_null(ring_begin(&r, (size_t) UINT32_MAX + 100, true));
	assert_null(ring_begin(&r, SIZE_MAX - 8, true));
	put(&r, 4096 - 16, 1); /* the largest that fits */
	take(&r, 4096 - 16, 1);
	ring_finish(&r);
}

/* ---- two threads ------------------------------------------------------------------------ */

#define THREAD_BLOCKS 30000

struct pipeline {
	struct ring ring;
	uint64_t seed;
};

static size_t length_of(uint64_t seed, uint64_t number)
{
	struct rng r = rng_make(seed, number);

	return 8 + rng_below(&r, 300);
}

static void *produce(void *ctx)
{
	struct pipeline *p = ctx;

	for (uint64_t i = 0; i < THREAD_BLOCKS;) {
		size_t n = length_of(p->seed, i);
		void *block = ring_begin(&p->ring, n, i % 7 == 0);

		if (!block) {
			sched_yield();
			continue;
		}
		fill(block, n, i++);
		ring_commit(&p->ring, n);
	}
	return NULL;
}

static void test_two_threads(void **state)
{
	static struct pipeline p; /* the thread has it even if this test fails */
	uint64_t deadline_ns = wait_deadline_ns();
	pthread_t thread;

	(void) state;
	p.seed = rng_seed();
	assert_int_equal(ring_init(&p.ring, 4096, 512), 0);
	assert_int_equal(pthread_create(&thread, NULL, produce, &p), 0);
	for (uint64_t i = 0; i < THREAD_BLOCKS;) {
		size_t n;
		const void *block = ring_peek(&p.ring, &n);

		if (!block) {
			if (wait_now_ns() > deadline_ns)
				fail_msg("the other thread stands still at %" PRIu64, i);
			sched_yield();
			continue;
		}
		if (n != length_of(p.seed, i) || !is_filled(block, n, i))
			fail_msg("seed %" PRIu64 ": block %" PRIu64 " came wrong", p.seed, i);
		ring_pop(&p.ring);
		i++;
	}
	pthread_join(thread, NULL);
	assert_null(ring_peek(&p.ring, NULL));
	ring_finish(&p.ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_by_one),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_reserve),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_two_threads),
	};

	return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
