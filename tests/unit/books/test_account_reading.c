// SPDX-License-Identifier: MIT
/* What one reading does to a domain's book: each cell of the two tables in account_reading.c. */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "books/account.h"
#include "books/account_state.h"
#include "machine.h"
#include "machine/clock.h"

#define J UINT64_C(1000000)
#define MS NS_PER_MS

/* The books of one package and one target, and what was said of them. */
struct fixture {
	struct machine m;
	struct account *a;
	struct domain_book *book;
	int slices, failing, lost, recovered, restarted;
	struct slice slice; /* the last one, without its parts */
	uint64_t gap_ns;
};

static void on_slice(void *ctx, const struct slice *slice)
{
	struct fixture *x = ctx;

	x->slices++;
	x->slice = *slice;
}

static void on_failing(void *ctx, size_t domain, int error)
{
	(void) domain;
	assert_int_equal(error, -EIO);
	((struct fixture *) ctx)->failing++;
}

static void on_lost(void *ctx, size_t domain)
{
	(void) domain;
	((struct fixture *) ctx)->lost++;
}

static void on_restarted(void *ctx, size_t domain)
{
	(void) domain;
	((struct fixture *) ctx)->restarted++;
}

static void on_recovered(void *ctx, size_t domain, uint64_t gap_ns)
{
	(void) domain;
	((struct fixture *) ctx)->recovered++;
	((struct fixture *) ctx)->gap_ns = gap_ns;
}

static int set_up(void **state)
{
	static const struct account_options options = { .idle = IDLE_SEPARATE };
	struct fixture *x = calloc(1, sizeof(*x));
	const struct account_watcher watcher = { .slice = on_slice,
		.failing = on_failing,
		.lost = on_lost,
		.recovered = on_recovered,
		.restarted = on_restarted,
		.ctx = x };

	assert_non_null(x);
	machine_init(&x->m);
	machine_add_domain(&x->m, "package-0", KIND_CPU);
	machine_add_target(&x->m, 0);
	assert_int_equal(account_create(&x->a, x->m.list, 1, &options, &watcher), 0);
	assert_int_equal(account_add_target(x->a, 0), 0);
	x->book = &x->a->books[0];
	*state = x;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *x = *state;

	account_destroy(x->a);
	free(x);
	return 0;
}

/* ---- the events ------------------------------------------------------------------------- */

/* Time passes, in which the target runs half of it; then a snapshot with this reading. */
static void enter_after(struct fixture *x, uint64_t ns, struct reading reading, unsigned flags)
{
	machine_pass(&x->m, ns, 0);
	machine_use(&x->m, 0, ns / 2);
	reading.t_ns = reading.error ? 0 : x->m.t_ns - reading.t_ns;
	x->m.readings[0] = reading;
	account_enter(x->a, machine_snapshot(&x->m, flags));
}

static void enter(struct fixture *x, struct reading reading, unsigned flags)
{
	enter_after(x, 100 * MS, reading, flags);
}

/* A reading `old` nanoseconds before its snapshot, of a counter that began at since_ns. */
static struct reading reading(uint64_t old_ns, uint64_t since_ns, uint64_t energy_uj)
{
	return (struct reading) {
		.t_ns = old_ns, .since_ns = since_ns, .energy_uj = energy_uj, .power_mw = 7000
	};
}

static const struct reading soon = { .error = -EAGAIN };
static const struct reading broken = { .error = -EIO };

/* ---- the states ------------------------------------------------------------------------- */

static void go_none(struct fixture *x)
{
	enter(x, broken, SNAPSHOT_FIRST);
	assert_int_equal(x->book->state, BOOK_NONE);
	assert_int_equal(x->book->health, HEALTH_FAILING);
}

static void go_awaited(struct fixture *x)
{
	enter(x, soon, SNAPSHOT_FIRST);
	assert_int_equal(x->book->state, BOOK_AWAITED);
	assert_int_equal(x->book->health, HEALTH_OK);
}

/* Since time 1, with 5 J on the counter. */
static void go_counting(struct fixture *x)
{
	enter(x, reading(0, 1, 5 * J), SNAPSHOT_FIRST);
	assert_int_equal(x->book->state, BOOK_COUNTING);
	assert_int_equal(x->book->health, HEALTH_OK);
	assert_true(x->book->fresh);
}

static void go_lost(struct fixture *x)
{
	go_counting(x);
	enter(x, broken, 0);
	enter_after(x, ACCOUNT_LOST_NS, broken, 0);
	assert_int_equal(x->book->health, HEALTH_LOST);
}

/* The point is the last snapshot: also what the target used before it does not count. */
static void assert_begun_at_snapshot(const struct fixture *x, enum book_state state)
{
	assert_int_equal(x->book->state, state);
	assert_false(x->book->fresh);
	assert_int_equal(x->book->point.t_ns, x->m.t_ns);
	assert_int_equal(x->book->point.since_ns, 0);
	assert_int_equal(x->a->targets[0]->books[0].base_cpu_ns, x->a->targets[0]->cpu_ns);
	assert_int_equal(x->slices, 0);
}

/* The point is a reading at that time, from which on is counted. */
static void assert_begun_at(const struct fixture *x, uint64_t t_ns)
{
	assert_int_equal(x->book->state, BOOK_COUNTING);
	assert_true(x->book->fresh);
	assert_int_equal(x->book->point.t_ns, t_ns);
	assert_int_equal(x->a->targets[0]->books[0].base_cpu_ns, x->a->targets[0]->cpu_ns);
	assert_int_equal(x->slices, 0);
	assert_int_equal(x->book->total_uj, 0);
}

/* ---- book: NONE ------------------------------------------------------------------------- */

static void test_none_soon(void **state)
{
	struct fixture *x = *state;

	go_none(x);
	enter(x, soon, 0);
	assert_begun_at_snapshot(x, BOOK_AWAITED);
	/* It is no reading, and no error either. */
	assert_int_equal(x->book->health, HEALTH_FAILING);
	assert_int_equal(x->failing + x->recovered, 1);
}

static void test_none_error(void **state)
{
	struct fixture *x = *state;
	struct point point;

	go_none(x);
	point = x->book->point;
	enter(x, broken, 0);
	assert_int_equal(x->book->state, BOOK_NONE);
	assert_false(x->book->fresh);
	assert_memory_equal(&x->book->point, &point, sizeof(point));
}

static void test_none_reading(void **state)
{
	struct fixture *x = *state;

	go_none(x);
	/* Also where the counter began after the last snapshot: nobody said that it would. */
	enter(x, reading(10 * MS, x->m.t_ns + 20 * MS, 3 * J), 0);
	assert_begun_at(x, x->m.t_ns - 10 * MS);
	assert_int_equal(x->book->begin_ns, x->m.t_ns - 10 * MS);
	assert_int_equal(x->book->begin_mw, 7000);
}

/* ---- book: AWAITED ---------------------------------------------------------------------- */

static void test_awaited_soon(void **state)
{
	struct fixture *x = *state;

	go_awaited(x);
	enter(x, soon, 0);
	assert_begun_at_snapshot(x, BOOK_AWAITED);
}

static void test_awaited_error(void **state)
{
	struct fixture *x = *state;
	struct point point;

	go_awaited(x);
	point = x->book->point;
	enter(x, broken, 0);
	assert_int_equal(x->book->state, BOOK_AWAITED);
	assert_int_equal(x->book->health, HEALTH_FAILING);
	assert_memory_equal(&x->book->point, &point, sizeof(point));
}

static void test_awaited_reading_later(void **state)
{
	struct fixture *x = *state;
	uint64_t since_ns;

	go_awaited(x);
	since_ns = x->m.t_ns + 20 * MS;
	enter(x, reading(10 * MS, since_ns, 3 * J), 0);
	assert_int_equal(x->book->state, BOOK_COUNTING);
	assert_true(x->book->fresh);
	assert_int_equal(x->book->begin_ns, since_ns);
	assert_int_equal(x->book->begin_mw, 7000);
	assert_int_equal(x->slices, 1);
	assert_int_equal(x->slice.interval.from_ns, since_ns);
	assert_int_equal(x->slice.interval.to_ns, x->m.t_ns - 10 * MS);
	assert_int_equal(x->slice.interval.ns, 70 * MS);
	assert_int_equal(x->slice.interval.energy_uj, 3 * J);
	/* The target's clock counts from the snapshot: 50 of 200 ms of CPU time. */
	assert_int_equal(x->a->targets[0]->books[0].total_uj, 3 * J / 4);
}

static void test_awaited_reading_at_its_beginning(void **state)
{
	struct fixture *x = *state;

	go_awaited(x);
	enter(x, reading(10 * MS, x->m.t_ns + 90 * MS, 0), 0);
	assert_begun_at(x, x->m.t_ns - 10 * MS);
	assert_int_equal(x->book->begin_ns, x->m.t_ns - 10 * MS);
}

/* ---- book: COUNTING --------------------------------------------------------------------- */

static void test_counting_soon(void **state)
{
	struct fixture *x = *state;

	go_counting(x);
	enter(x, soon, 0);
	assert_begun_at_snapshot(x, BOOK_AWAITED);
}

static void test_counting_error(void **state)
{
	struct fixture *x = *state;
	struct point point;

	go_counting(x);
	point = x->book->point;
	enter(x, broken, 0);
	assert_int_equal(x->book->state, BOOK_COUNTING);
	assert_false(x->book->fresh);
	assert_memory_equal(&x->book->point, &point, sizeof(point));
}

static void test_counting_another_beginning(void **state)
{
	struct fixture *x = *state;
	uint64_t begin_ns;

	go_counting(x);
	begin_ns = x->book->begin_ns;
	enter(x, reading(10 * MS, 2, 1 * J), 0);
	assert_begun_at(x, x->m.t_ns - 10 * MS);
	assert_int_equal(x->restarted, 1);
	assert_int_equal(x->book->resets, 1);
	/* Counting as such began before the hole. */
	assert_int_equal(x->book->begin_ns, begin_ns);
}

static void test_counting_newer(void **state)
{
	struct fixture *x = *state;

	go_counting(x);
	enter(x, reading(10 * MS, 1, 6 * J), 0);
	assert_true(x->book->fresh);
	assert_int_equal(x->slices, 1);
	assert_int_equal(x->slice.interval.ns, 90 * MS);
	assert_int_equal(x->slice.interval.energy_uj, J);
	assert_int_equal(x->slice.interval.flags, FLAG_MEASURED);
	assert_int_equal(x->book->total_uj, J);
}

static void test_counting_not_newer(void **state)
{
	struct fixture *x = *state;
	struct point point;

	go_counting(x);
	point = x->book->point;
	enter(x, reading(100 * MS, 1, 6 * J), 0);
	assert_int_equal(x->book->state, BOOK_COUNTING);
	assert_false(x->book->fresh);
	assert_memory_equal(&x->book->point, &point, sizeof(point));
	assert_int_equal(x->slices, 0);
}

/* ---- health ----------------------------------------------------------------------------- */

static void test_ok_error(void **state)
{
	struct fixture *x = *state;

	go_counting(x);
	enter(x, broken, 0);
	assert_int_equal(x->book->health, HEALTH_FAILING);
	assert_int_equal(x->book->failing_since_ns, x->m.t_ns);
	assert_int_equal(x->failing, 1);
}

static void test_ok_reading(void **state)
{
	struct fixture *x = *state;

	go_counting(x);
	enter(x, reading(0, 1, 6 * J), 0);
	assert_int_equal(x->book->health, HEALTH_OK);
	assert_int_equal(x->failing + x->recovered + x->lost, 0);
	assert_int_equal(x->book->gaps, 0);
}

static void test_failing_error(void **state)
{
	struct fixture *x = *state;
	uint64_t since_ns;

	go_counting(x);
	enter(x, broken, 0);
	since_ns = x->m.t_ns;
	/* Up to a nanosecond before its time it is failing, and nothing more is said. */
	enter_after(x, ACCOUNT_LOST_NS - 1, broken, 0);
	assert_int_equal(x->book->health, HEALTH_FAILING);
	assert_int_equal(x->book->failing_since_ns, since_ns);
	assert_int_equal(x->failing, 1);
	assert_int_equal(x->lost, 0);
	enter_after(x, 1, broken, 0);
	assert_int_equal(x->book->health, HEALTH_LOST);
	assert_int_equal(x->lost, 1);
}

static void test_failing_reading(void **state)
{
	struct fixture *x = *state;

	go_counting(x);
	enter(x, broken, 0);
	enter(x, reading(0, 1, 6 * J), 0);
	assert_int_equal(x->book->health, HEALTH_OK);
	assert_int_equal(x->recovered, 1);
	assert_int_equal(x->gap_ns, 100 * MS);
	assert_int_equal(x->book->gaps, 1);
	assert_int_equal(x->slice.interval.flags, FLAG_MEASURED | FLAG_GAP);
	enter(x, reading(0, 1, 7 * J), 0);
	assert_int_equal(x->slice.interval.flags, FLAG_MEASURED);
}

static void test_lost_error(void **state)
{
	struct fixture *x = *state;

	go_lost(x);
	enter(x, broken, 0);
	assert_int_equal(x->book->health, HEALTH_LOST);
	assert_int_equal(x->failing, 1);
	assert_int_equal(x->lost, 1);
}

static void test_lost_reading(void **state)
{
	struct fixture *x = *state;

	go_lost(x);
	enter(x, reading(0, 1, 6 * J), 0);
	assert_int_equal(x->book->health, HEALTH_OK);
	assert_int_equal(x->recovered, 1);
	assert_int_equal(x->gap_ns, ACCOUNT_LOST_NS + 100 * MS);
	assert_int_equal(x->book->gaps, 1);
	assert_int_equal(x->slice.interval.flags, FLAG_MEASURED | FLAG_GAP);
}

/* ---- before the tables ------------------------------------------------------------------ */

static void test_new_series(void **state)
{
	struct fixture *x = *state;

	go_lost(x);
	enter(x, broken, SNAPSHOT_FIRST);
	assert_int_equal(x->book->state, BOOK_NONE);
	/* The error is looked at afterwards, and is a new one. */
	assert_int_equal(x->book->health, HEALTH_FAILING);
	assert_int_equal(x->failing, 2);
	assert_int_equal(x->recovered, 0);
	assert_int_equal(x->book->point.t_ns, x->m.t_ns);
}

static void test_restarted_kind(void **state)
{
	struct fixture *x = *state;

	go_lost(x);
	x->m.restarted = KIND_BIT(KIND_CPU);
	enter(x, reading(0, x->m.t_ns + 100 * MS, 0), 0);
	assert_int_equal(x->book->state, BOOK_COUNTING);
	assert_int_equal(x->book->health, HEALTH_OK);
	assert_int_equal(x->restarted + x->recovered, 0);
	/* Another kind's beginning is nothing to it. */
	x->m.restarted = KIND_BIT(KIND_GPU);
	enter(x, reading(0, x->book->point.since_ns, J), 0);
	assert_int_equal(x->book->total_uj, J);
}

static void test_kind_not_read(void **state)
{
	struct fixture *x = *state;
	struct point point;

	go_counting(x);
	point = x->book->point;
	x->m.kinds = KIND_BIT(KIND_GPU);
	enter(x, broken, 0);
	enter(x, soon, 0);
	enter(x, reading(0, 2, 9 * J), 0);
	assert_int_equal(x->book->state, BOOK_COUNTING);
	assert_int_equal(x->book->health, HEALTH_OK);
	assert_false(x->book->fresh);
	assert_memory_equal(&x->book->point, &point, sizeof(point));
}

#define CELL(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CELL(test_none_soon),
		CELL(test_none_error),
		CELL(test_none_reading),
		CELL(test_awaited_soon),
		CELL(test_awaited_error),
		CELL(test_awaited_reading_later),
		CELL(test_awaited_reading_at_its_beginning),
		CELL(test_counting_soon),
		CELL(test_counting_error),
		CELL(test_counting_another_beginning),
		CELL(test_counting_newer),
		CELL(test_counting_not_newer),
		CELL(test_ok_error),
		CELL(test_ok_reading),
		CELL(test_failing_error),
		CELL(test_failing_reading),
		CELL(test_lost_error),
		CELL(test_lost_reading),
		CELL(test_new_series),
		CELL(test_restarted_kind),
		CELL(test_kind_not_read),
	};

	return cmocka_run_group_tests_name("account_reading", tests, NULL, NULL);
}
