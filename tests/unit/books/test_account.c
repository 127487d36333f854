// SPDX-License-Identifier: MIT
/* The books, fed with snapshots made by hand. */
#include "test.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "books/account.h"
#include "machine/clock.h"
#include "machine.h"

#define J UINT64_C(1000000)
#define MS NS_PER_MS

/* The books of a machine, and what they told. */
struct fixture {
	struct machine m;
	struct account *a;
	size_t n_slices;
	struct slice slice; /* the last one, with its parts copied */
	struct slice_part parts[MACHINE_TARGETS + 2];
	int failing, lost, recovered, restarted;
	int error;
	uint64_t gap_ns;
};

static void on_slice(void *ctx, const struct slice *slice)
{
	struct fixture *x = ctx;
	uint64_t sum_uj = 0;

	x->n_slices++;
	x->slice = *slice;
	assert_true(slice->n_parts <= MACHINE_TARGETS + 2);
	memcpy(x->parts, slice->parts, slice->n_parts * sizeof(x->parts[0]));
	for (size_t i = 0; i < slice->n_parts; i++) {
		const struct energy *e = &slice->parts[i].energy;

		sum_uj += e->uj;
		assert_true(e->low_uj <= e->uj && e->uj <= e->high_uj);
	}
	assert_int_equal(sum_uj, slice->interval.energy_uj);
}

static void on_failing(void *ctx, size_t domain, int error)
{
	struct fixture *x = ctx;

	(void) domain;
	x->failing++;
	x->error = error;
}

static void on_restarted(void *ctx, size_t domain)
{
	(void) domain;
	((struct fixture *) ctx)->restarted++;
}

static void on_lost(void *ctx, size_t domain)
{
	(void) domain;
	((struct fixture *) ctx)->lost++;
}

static void on_recovered(void *ctx, size_t domain, uint64_t gap_ns)
{
	struct fixture *x = ctx;

	(void) domain;
	x->recovered++;
	x->gap_ns = gap_ns;
}

static void make_books(struct fixture *x, const struct account_options *options)
{
	const struct account_watcher listener = { .slice = on_slice,
		.failing = on_failing,
		.restarted = on_restarted,
		.lost = on_lost,
		.recovered = on_recovered,
		.ctx = x };

	assert_int_equal(account_create(&x->a, x->m.list, x->m.n_domains, options, &listener), 0);
}

static const struct account_options exact = { .idle = IDLE_SEPARATE };

/* One package, and two targets in slots 0 and 1. */
static void set_up(struct fixture *x)
{
	memset(x, 0, sizeof(*x));
	machine_init(&x->m);
	machine_add_domain(&x->m, "package-0", KIND_CPU);
	make_books(x, &exact);
	for (uint32_t slot = 0; slot < 2; slot++) {
		assert_int_equal(account_add_target(x->a, slot), 0);
		machine_add_target(&x->m, slot);
	}
}

static void enter(struct fixture *x, unsigned flags)
{
	account_enter(x->a, machine_snapshot(&x->m, flags));
}

/* Other books, of the machine as it is by now and of its first targets, begun. */
static void renew_books(
	struct fixture *x, const struct account_options *options, uint32_t n_targets)
{
	account_destroy(x->a);
	make_books(x, options);
	for (uint32_t slot = 0; slot < n_targets; slot++)
		assert_int_equal(account_add_target(x->a, slot), 0);
	enter(x, SNAPSHOT_FIRST);
}

static struct account_mark *mark(struct fixture *x, uint32_t slot)
{
	struct account_mark *m = account_mark_new(x->a, slot);

	assert_non_null(m);
	return m;
}

static struct span since(struct fixture *x, const struct account_mark *m, uint32_t slot)
{
	struct span span;

	account_since(x->a, m, slot, KIND_CPU, &span);
	return span;
}

static uint64_t part_uj(const struct fixture *x, enum slice_who who)
{
	uint64_t uj = 0;

	for (size_t i = 0; i < x->slice.n_parts; i++)
		if (x->parts[i].who == who)
			uj += x->parts[i].energy.uj;
	return uj;
}

/* Half a second of 20 W: slot 0 uses half a CPU, slot 1 a tenth, 0.5 s of CPU time is idle. */
static void usual_half_second(struct fixture *x)
{
	machine_pass(&x->m, 500 * MS, 500 * MS);
	machine_draw(&x->m, 0, 10 * J);
	machine_use(&x->m, 0, 250 * MS);
	machine_use(&x->m, 1, 50 * MS);
	enter(x, 0);
}

/* ---- sharing out ------------------------------------------------------------------------ */

static void test_interval(void **state)
{
	struct fixture x;
	struct account_mark *all, *zero, *one;
	struct span span;
	uint64_t idle_uj, other_uj;

	(void) state;
	set_up(&x);
	enter(&x, SNAPSHOT_FIRST | SNAPSHOT_EDGE);
	assert_int_equal(x.n_slices, 0);
	all = mark(&x, ACCOUNT_NO_SLOT);
	zero = mark(&x, 0);
	one = mark(&x, 1);
	span = since(&x, zero, 0);
	assert_false(span.known);
	usual_half_second(&x);
	assert_int_equal(x.n_slices, 1);
	assert_int_equal(x.slice.interval.ns, 500 * MS);
	assert_int_equal(x.slice.interval.energy_uj, 10 * J);
	assert_int_equal(part_uj(&x, SLICE_TARGET), 3 * J);
	assert_int_equal(part_uj(&x, SLICE_IDLE), 5 * J);
	assert_int_equal(part_uj(&x, SLICE_OTHER), 2 * J);
	span = since(&x, all, ACCOUNT_NO_SLOT);
	assert_true(span.known && span.fresh);
	assert_int_equal(span.energy.uj, 10 * J);
	assert_int_equal(span.interval_ns, 500 * MS);
	assert_int_equal(span.power_uw, 20 * J);
	assert_int_equal(span.flags, FLAG_MEASURED);
	span = since(&x, zero, 0);
	assert_int_equal(span.energy.uj, 10 * J / 4);
	assert_int_equal(span.power_uw, 5 * J);
	assert_int_equal(account_cpu_since(x.a, zero, 0), 250 * MS);
	span = since(&x, one, 1);
	assert_int_equal(span.energy.uj, J / 2);
	account_rest_since(x.a, all, KIND_CPU, &idle_uj, &other_uj);
	assert_int_equal(idle_uj, 5 * J);
	assert_int_equal(other_uj, 2 * J);
	/* A mark that is made the present begins again from here. */
	account_mark_renew(x.a, zero);
	usual_half_second(&x);
	assert_int_equal(since(&x, zero, 0).energy.uj, 10 * J / 4);
	assert_int_equal(since(&x, one, 1).energy.uj, J);
	assert_int_equal(since(&x, all, ACCOUNT_NO_SLOT).energy.uj, 20 * J);
	account_mark_free(all);
	account_mark_free(zero);
	account_mark_free(one);
	account_mark_free(NULL);
	account_destroy(x.a);
	account_destroy(NULL);
}

/* Intervals too short to tell idle from other show one rest, which is settled later. */
static void test_settling(void **state)
{
	struct fixture x;
	struct account_mark *all;
	uint64_t idle_uj, other_uj;

	(void) state;
	set_up(&x);
	enter(&x, SNAPSHOT_FIRST);
	all = mark(&x, ACCOUNT_NO_SLOT);
	for (int i = 0; i < 25; i++) {
		/* The idle columns move in steps: nothing for 20 ms, then twice as much. */
		machine_pass(&x.m, 10 * MS, i % 2 ? 20 * MS : 0);
		machine_draw(&x.m, 0, J / 10);
		machine_use(&x.m, 0, 5 * MS);
		enter(&x, 0);
		assert_int_equal(part_uj(&x, SLICE_REST), J / 10 - J / 40);
		assert_int_equal(part_uj(&x, SLICE_IDLE) + part_uj(&x, SLICE_OTHER), 0);
		/* What is asked for is settled as well as it can be. */
		account_rest_since(x.a, all, KIND_CPU, &idle_uj, &other_uj);
		assert_int_equal(idle_uj + other_uj, (uint64_t) (i + 1) * (J / 10 - J / 40));
	}
	/* 240 of 500 ms of CPU time were idle. */
	assert_int_equal(idle_uj, 25 * J / 10 * 240 / 500);
	account_mark_free(all);
	account_destroy(x.a);
}

static void test_proportional(void **state)
{
	const struct account_options options = { .idle = IDLE_PROPORTIONAL };
	struct fixture x;
	struct account_mark *zero;

	(void) state;
	set_up(&x);
	renew_books(&x, &options, 2);
	zero = mark(&x, 0);
	usual_half_second(&x);
	/* Half the capacity was busy: 0.25 of 0.5 s. */
	assert_int_equal(since(&x, zero, 0).energy.uj, 5 * J);
	assert_int_equal(part_uj(&x, SLICE_IDLE), 0);
	assert_int_equal(part_uj(&x, SLICE_OTHER), 4 * J);
	account_mark_free(zero);
	account_destroy(x.a);
}

/* Of a GPU the CPUs' clocks tell nothing: its energy is nobody's. */
static void test_gpu(void **state)
{
	struct fixture x;
	struct account_mark *zero;
	struct span span;
	size_t gpu;

	(void) state;
	memset(&x, 0, sizeof(x));
	machine_init(&x.m);
	gpu = machine_add_domain(&x.m, "gpu-0", KIND_GPU);
	make_books(&x, &exact);
	assert_int_equal(account_add_target(x.a, 0), 0);
	machine_add_target(&x.m, 0);
	enter(&x, SNAPSHOT_FIRST);
	zero = mark(&x, 0);
	for (int i = 0; i < 3; i++) {
		machine_pass(&x.m, 100 * MS, 0);
		machine_draw(&x.m, gpu, 15 * J);
		machine_use(&x.m, 0, 100 * MS);
		enter(&x, 0);
		assert_int_equal(x.slice.n_parts, 1);
		assert_int_equal(part_uj(&x, SLICE_OTHER), 15 * J);
	}
	account_domain_since(x.a, zero, 0, gpu, &span);
	assert_int_equal(span.energy.uj, 0);
	account_since(x.a, zero, ACCOUNT_NO_SLOT, KIND_GPU, &span);
	assert_int_equal(span.energy.uj, 45 * J);
	account_since(x.a, zero, 0, KIND_CPU, &span);
	assert_false(span.known || span.fresh);
	account_mark_free(zero);
	account_destroy(x.a);
}

/* Domains of one kind add up, but for those that another one contains. */
static void test_sums(void **state)
{
	struct fixture x;
	struct account_mark *all, *zero;
	struct span span;
	size_t core, second;

	(void) state;
	set_up(&x);
	core = machine_add_domain(&x.m, "package-0-core", KIND_CPU);
	second = machine_add_domain(&x.m, "package-1", KIND_CPU);
	x.m.domains[core].counted = false;
	renew_books(&x, &exact, 1);
	all = mark(&x, ACCOUNT_NO_SLOT);
	zero = mark(&x, 0);
	machine_pass(&x.m, NS_PER_S, 0);
	machine_draw(&x.m, 0, 10 * J);
	machine_draw(&x.m, core, 7 * J);
	machine_draw(&x.m, second, 4 * J);
	machine_use(&x.m, 0, NS_PER_S);
	enter(&x, 0);
	span = since(&x, all, ACCOUNT_NO_SLOT);
	assert_int_equal(span.energy.uj, 14 * J);
	assert_int_equal(span.power_uw, 14 * J);
	assert_int_equal(since(&x, zero, 0).energy.uj, 7 * J);
	account_domain_since(x.a, all, ACCOUNT_NO_SLOT, core, &span);
	assert_int_equal(span.energy.uj, 7 * J);
	account_mark_free(all);
	account_mark_free(zero);
	account_destroy(x.a);
}

/* ---- targets ---------------------------------------------------------------------------- */

/* A target's books begin with the first snapshot that has it; a slot used again is another one. */
static void test_targets_come_and_go(void **state)
{
	struct fixture x;
	struct account_mark *late;

	(void) state;
	set_up(&x);
	enter(&x, SNAPSHOT_FIRST);
	usual_half_second(&x);
	assert_int_equal(account_add_target(x.a, 100), 0);
	machine_add_target(&x.m, 100);
	machine_use(&x.m, 100, 77 * NS_PER_S); /* what it used before does not count */
	enter(&x, SNAPSHOT_EDGE);
	late = mark(&x, 100);
	machine_use(&x.m, 100, 500 * MS);
	usual_half_second(&x);
	assert_int_equal(since(&x, late, 100).energy.uj, 5 * J);
	assert_int_equal(x.slice.n_parts, 5);
	account_drop_target(x.a, 100);
	account_drop_target(x.a, 100);
	account_drop_target(x.a, 5000);
	/* A usage of a target that nobody knows is passed over. */
	machine_use(&x.m, 100, 500 * MS);
	usual_half_second(&x);
	assert_int_equal(x.slice.n_parts, 4);
	assert_int_equal(account_add_target(x.a, 100), 0);
	enter(&x, SNAPSHOT_EDGE);
	account_mark_renew(x.a, late);
	assert_int_equal(account_cpu_since(x.a, late, 100), 0);
	usual_half_second(&x);
	assert_int_equal(since(&x, late, 100).energy.uj, 0);
	account_mark_free(late);
	account_destroy(x.a);
}

static void test_tail(void **state)
{
	struct fixture x;
	struct account_mark *zero;
	struct span span, without;

	(void) state;
	set_up(&x);
	enter(&x, SNAPSHOT_FIRST);
	zero = mark(&x, 0);
	usual_half_second(&x);
	without = since(&x, zero, 0);
	assert_int_equal(without.flags, FLAG_MEASURED);
	/* It was gone before its last time could be read: it may have used 100 ms more. */
	machine_target(&x.m, 0)->flags = USAGE_ENDED | USAGE_TAIL;
	machine_target(&x.m, 0)->tail_ns = 100 * MS;
	enter(&x, SNAPSHOT_EDGE);
	span = since(&x, zero, 0);
	assert_int_equal(span.energy.uj, without.energy.uj);
	assert_int_equal(span.flags, FLAG_MEASURED | FLAG_TAIL);
	/* 100 ms of 1 s of capacity, of 10 J. */
	assert_true(span.energy.high_uj >= span.energy.uj + J);
	account_mark_free(zero);
	account_destroy(x.a);
}

/* A CPU clock is as fresh as the kernel's tick: that much is not known. */
static void test_stale_clock(void **state)
{
	const struct account_options options = { .tick_ns = 4 * MS };
	struct fixture x;
	struct account_mark *zero;
	struct span span;

	(void) state;
	set_up(&x);
	renew_books(&x, &options, 1);
	zero = mark(&x, 0);
	usual_half_second(&x);
	span = since(&x, zero, 0);
	/* One tick of a second of capacity, of 10 J: 40 mJ to each side. */
	assert_in_range(span.energy.low_uj, 2400000, 2460001);
	assert_in_range(span.energy.high_uj, 2540000, 2600000);
	account_mark_free(zero);
	account_destroy(x.a);
}

/* ---- readings that fail, fall or are late ----------------------------------------------- */

static void test_gap(void **state)
{
	struct fixture x;
	struct account_mark *all, *zero;
	struct span span;

	(void) state;
	set_up(&x);
	enter(&x, SNAPSHOT_FIRST);
	all = mark(&x, ACCOUNT_NO_SLOT);
	zero = mark(&x, 0);
	usual_half_second(&x);
	x.m.readings[0].error = -EIO;
	for (int i = 0; i < 3; i++) {
		usual_half_second(&x);
		assert_int_equal(x.n_slices, 1);
		span = since(&x, all, ACCOUNT_NO_SLOT);
		assert_false(span.fresh);
		assert_true(span.flags & FLAG_GAP);
		assert_int_equal(span.energy.uj, 10 * J);
	}
	assert_int_equal(x.failing, 1);
	assert_int_equal(x.error, -EIO);
	x.m.readings[0].error = 0;
	usual_half_second(&x);
	/* One long interval: resolution is lost, no joule is. */
	assert_int_equal(x.n_slices, 2);
	assert_int_equal(x.slice.interval.ns, 2 * NS_PER_S);
	assert_int_equal(x.slice.interval.energy_uj, 40 * J);
	assert_true(x.parts[0].flags & FLAG_GAP);
	span = since(&x, zero, 0);
	assert_true(span.fresh);
	assert_int_equal(span.energy.uj, 5 * 10 * J / 4);
	assert_true(span.flags & FLAG_GAP);
	assert_int_equal(x.recovered, 1);
	assert_int_equal(x.gap_ns, 3 * 500 * MS);
	/* The next line has no gap any more. */
	account_mark_renew(x.a, zero);
	usual_half_second(&x);
	assert_int_equal(since(&x, zero, 0).flags, FLAG_MEASURED);
	assert_int_equal(x.failing + x.recovered + x.lost, 2);
	account_mark_free(all);
	account_mark_free(zero);
	account_destroy(x.a);
}

/* A domain that is away for long is lost: sums go on without it. */
static void test_lost(void **state)
{
	struct fixture x;
	struct account_mark *all;
	size_t second;
	int i;

	(void) state;
	set_up(&x);
	second = machine_add_domain(&x.m, "package-1", KIND_CPU);
	renew_books(&x, &exact, 0);
	all = mark(&x, ACCOUNT_NO_SLOT);
	machine_draw(&x.m, second, 3 * J);
	usual_half_second(&x);
	x.m.readings[second].error = -ENODEV;
	for (i = 0; i < 10; i++) {
		usual_half_second(&x);
		assert_false(since(&x, all, ACCOUNT_NO_SLOT).fresh);
		assert_int_equal(x.lost, 0);
	}
	usual_half_second(&x);
	assert_int_equal(x.lost, 1);
	assert_true(since(&x, all, ACCOUNT_NO_SLOT).fresh);
	account_mark_renew(x.a, all);
	usual_half_second(&x);
	assert_int_equal(since(&x, all, ACCOUNT_NO_SLOT).energy.uj, 10 * J);
	assert_int_equal(x.lost, 1);
	/* Back again: what it used in between is there. */
	x.m.readings[second].error = 0;
	machine_draw(&x.m, second, 70 * J);
	usual_half_second(&x);
	assert_int_equal(x.recovered, 1);
	assert_int_equal(since(&x, all, ACCOUNT_NO_SLOT).energy.uj, 90 * J);
	account_mark_free(all);
	account_destroy(x.a);
}

static void test_reset(void **state)
{
	struct fixture x;
	struct account_mark *all, *zero;
	struct span span;

	(void) state;
	set_up(&x);
	enter(&x, SNAPSHOT_FIRST);
	all = mark(&x, ACCOUNT_NO_SLOT);
	zero = mark(&x, 0);
	usual_half_second(&x);
	/* The counter fell: unwrapping began anew, with energy 0 at another time. */
	machine_pass(&x.m, 500 * MS, 0);
	machine_use(&x.m, 0, 250 * MS);
	x.m.readings[0].energy_uj = 0;
	x.m.readings[0].since_ns = x.m.t_ns;
	enter(&x, 0);
	assert_int_equal(x.restarted, 1);
	assert_int_equal(x.n_slices, 1);
	span = since(&x, all, ACCOUNT_NO_SLOT);
	assert_true(span.flags & FLAG_RESET);
	assert_int_equal(span.energy.uj, 10 * J);
	account_mark_renew(x.a, all);
	account_mark_renew(x.a, zero);
	/* From there on all is well, and what was used in the hole is nobody's. */
	usual_half_second(&x);
	span = since(&x, zero, 0);
	assert_int_equal(span.flags, FLAG_MEASURED);
	assert_int_equal(span.energy.uj, 10 * J / 4);
	assert_int_equal(since(&x, all, ACCOUNT_NO_SLOT).energy.uj, 10 * J);
	account_mark_free(all);
	account_mark_free(zero);
	account_destroy(x.a);
}

/* A value that the hardware has not updated since is no interval: the next one is longer. */
static void test_not_updated(void **state)
{
	struct fixture x;
	struct account_mark *all;
	uint64_t t_ns;

	(void) state;
	set_up(&x);
	enter(&x, SNAPSHOT_FIRST);
	all = mark(&x, ACCOUNT_NO_SLOT);
	t_ns = x.m.t_ns;
	machine_pass(&x.m, 500 * MS, 0);
	machine_use(&x.m, 0, 500 * MS);
	x.m.readings[0].t_ns = t_ns;
	enter(&x, 0);
	assert_int_equal(x.n_slices, 0);
	assert_false(since(&x, all, ACCOUNT_NO_SLOT).fresh);
	assert_int_equal(x.failing, 0);
	machine_pass(&x.m, 500 * MS, 0);
	machine_use(&x.m, 0, 500 * MS);
	machine_draw(&x.m, 0, 20 * J);
	enter(&x, 0);
	assert_int_equal(x.slice.interval.ns, NS_PER_S);
	assert_int_equal(part_uj(&x, SLICE_TARGET), 10 * J);
	assert_int_equal(since(&x, all, ACCOUNT_NO_SLOT).flags, FLAG_MEASURED);
	account_mark_free(all);
	account_destroy(x.a);
}

static void test_late(void **state)
{
	struct fixture x;
	struct account_mark *all;

	(void) state;
	set_up(&x);
	enter(&x, SNAPSHOT_FIRST);
	all = mark(&x, ACCOUNT_NO_SLOT);
	x.m.missed_ticks = 2;
	usual_half_second(&x);
	assert_true(x.parts[0].flags & FLAG_LATE);
	assert_true(since(&x, all, ACCOUNT_NO_SLOT).flags & FLAG_LATE);
	account_mark_renew(x.a, all);
	usual_half_second(&x);
	assert_int_equal(since(&x, all, ACCOUNT_NO_SLOT).flags, FLAG_MEASURED);
	account_mark_free(all);
	account_destroy(x.a);
}

/* Sampling was off for a while: no difference spans the pause, and nobody is told of a reset. */
static void test_pause(void **state)
{
	struct fixture x;
	struct account_mark *all, *zero;

	(void) state;
	set_up(&x);
	enter(&x, SNAPSHOT_FIRST);
	all = mark(&x, ACCOUNT_NO_SLOT);
	usual_half_second(&x);
	machine_pass(&x.m, 100 * NS_PER_S, 0);
	machine_use(&x.m, 0, 100 * NS_PER_S);
	x.m.capacity_ns = 0; /* a new series */
	x.m.readings[0] = (struct reading) { .t_ns = x.m.t_ns, .since_ns = x.m.t_ns };
	enter(&x, SNAPSHOT_FIRST | SNAPSHOT_EDGE);
	zero = mark(&x, 0);
	assert_int_equal(x.restarted, 0);
	usual_half_second(&x);
	assert_int_equal(since(&x, zero, 0).energy.uj, 10 * J / 4);
	assert_int_equal(since(&x, all, ACCOUNT_NO_SLOT).energy.uj, 20 * J);
	account_mark_free(all);
	account_mark_free(zero);
	account_destroy(x.a);
}

/* A sensor that fails at the very beginning of a later series: figures since then are sound. */
static void test_pause_then_failure(void **state)
{
	const struct account_options options = { .tick_ns = 4 * MS };
	struct fixture x;
	struct account_mark *zero;
	struct span span;

	(void) state;
	set_up(&x);
	renew_books(&x, &options, 1);
	machine_pass(&x.m, 1000 * NS_PER_S, 0);
	enter(&x, 0);
	x.m.capacity_ns = 0;
	x.m.readings[0] = (struct reading) { .error = -EIO };
	machine_pass(&x.m, 10 * NS_PER_S, 0);
	x.m.capacity_ns = 0;
	enter(&x, SNAPSHOT_FIRST | SNAPSHOT_EDGE);
	zero = mark(&x, 0);
	machine_pass(&x.m, 500 * MS, 0);
	x.m.readings[0] = (struct reading) { .t_ns = x.m.t_ns, .since_ns = x.m.t_ns };
	enter(&x, 0);
	usual_half_second(&x);
	span = since(&x, zero, 0);
	assert_true(span.known);
	assert_int_equal(span.energy.uj, 10 * J / 4);
	/* A tick of 4 ms to each side, as anywhere: 40 mJ of 2.5 J. Of the half second before the first
	 * reading as much again may be. */
	assert_in_range(span.energy.low_uj, 2300000, 2460001);
	assert_in_range(span.energy.high_uj, 5000000, 5200000);
	account_mark_free(zero);
	account_destroy(x.a);
}

/* Kinds come and go while the series runs on. */
static void test_kinds(void **state)
{
	struct fixture x;
	struct account_mark *all;
	struct span span;
	size_t gpu;

	(void) state;
	set_up(&x);
	gpu = machine_add_domain(&x.m, "gpu-0", KIND_GPU);
	account_destroy(x.a);
	make_books(&x, &exact);
	x.m.kinds = KIND_BIT(KIND_CPU);
	enter(&x, SNAPSHOT_FIRST);
	usual_half_second(&x);
	/* The GPU is wanted, too. */
	x.m.kinds = KIND_BIT(KIND_CPU) | KIND_BIT(KIND_GPU);
	x.m.restarted = KIND_BIT(KIND_GPU);
	x.m.readings[gpu] = (struct reading) { .t_ns = x.m.t_ns, .since_ns = x.m.t_ns };
	enter(&x, SNAPSHOT_EDGE);
	all = mark(&x, ACCOUNT_NO_SLOT);
	machine_draw(&x.m, gpu, 30 * J);
	usual_half_second(&x);
	account_since(x.a, all, ACCOUNT_NO_SLOT, KIND_GPU, &span);
	assert_int_equal(span.energy.uj, 30 * J);
	/* Not wanted, then wanted again: counting began anew. */
	x.m.kinds = KIND_BIT(KIND_CPU);
	usual_half_second(&x);
	x.m.kinds |= KIND_BIT(KIND_GPU);
	x.m.restarted = KIND_BIT(KIND_GPU);
	x.m.readings[gpu] = (struct reading) { .t_ns = x.m.t_ns, .since_ns = x.m.t_ns };
	enter(&x, SNAPSHOT_EDGE);
	assert_int_equal(x.restarted, 0);
	account_mark_renew(x.a, all);
	machine_draw(&x.m, gpu, 31 * J);
	usual_half_second(&x);
	account_since(x.a, all, ACCOUNT_NO_SLOT, KIND_GPU, &span);
	assert_int_equal(span.energy.uj, 31 * J);
	assert_int_equal(span.flags, FLAG_MEASURED);
	assert_int_equal(since(&x, all, ACCOUNT_NO_SLOT).energy.uj, 10 * J);
	account_mark_free(all);
	account_destroy(x.a);
}

/* ---- polled sensors --------------------------------------------------------------------- */

/* A polled sensor's first reading comes between two snapshots: its energy since then counts. */
static void test_early(void **state)
{
	struct fixture x;
	struct account_mark *all, *zero;
	struct span span;

	(void) state;
	set_up(&x);
	x.m.readings[0] = (struct reading) { .error = -EAGAIN };
	enter(&x, SNAPSHOT_FIRST | SNAPSHOT_EDGE);
	all = mark(&x, ACCOUNT_NO_SLOT);
	zero = mark(&x, 0);
	machine_pass(&x.m, 500 * MS, 0);
	machine_use(&x.m, 0, 500 * MS);
	/* It began 100 ms after the snapshot, and its last value is 50 ms old. */
	x.m.readings[0] = (struct reading) { .t_ns = x.m.t_ns - 50 * MS,
		.since_ns = x.m.t_ns - 400 * MS,
		.energy_uj = 7 * J,
		.power_mw = 20000 };
	enter(&x, 0);
	assert_int_equal(x.failing, 0);
	assert_int_equal(x.slice.interval.ns, 350 * MS);
	assert_int_equal(x.slice.interval.energy_uj, 7 * J);
	span = since(&x, all, ACCOUNT_NO_SLOT);
	assert_true(span.known && span.fresh);
	assert_int_equal(span.energy.uj, 7 * J);
	assert_int_equal(span.interval_ns, 350 * MS);
	assert_int_equal(span.power_uw, 20 * J);
	/* Half the machine was the target's all the time. */
	assert_int_equal(since(&x, zero, 0).energy.uj, 7 * J / 2);
	/* For a whole session, what lies between readings and snapshots is put in: 20 W for 500 ms. */
	account_total_since(x.a, all, KIND_CPU, &span);
	assert_int_equal(span.energy.uj, 10 * J);
	assert_int_equal(span.interval_ns, 500 * MS);
	assert_true(span.energy.low_uj <= 7 * J && span.energy.high_uj >= 10 * J);
	account_mark_free(all);
	account_mark_free(zero);
	account_destroy(x.a);
}

/* The same when the reading is of the very instant of its beginning. */
static void test_early_without_energy(void **state)
{
	struct fixture x;
	struct account_mark *all;

	(void) state;
	set_up(&x);
	x.m.readings[0] = (struct reading) { .error = -EAGAIN };
	enter(&x, SNAPSHOT_FIRST);
	all = mark(&x, ACCOUNT_NO_SLOT);
	machine_pass(&x.m, 500 * MS, 0);
	x.m.readings[0] = (struct reading) { .t_ns = x.m.t_ns - 5 * MS,
		.since_ns = x.m.t_ns - 5 * MS };
	enter(&x, 0);
	assert_int_equal(x.n_slices, 0);
	assert_false(since(&x, all, ACCOUNT_NO_SLOT).known);
	machine_pass(&x.m, 495 * MS, 0);
	machine_draw(&x.m, 0, 10 * J);
	enter(&x, 0);
	assert_int_equal(x.slice.interval.ns, 500 * MS);
	assert_int_equal(since(&x, all, ACCOUNT_NO_SLOT).energy.uj, 10 * J);
	assert_int_equal(x.restarted, 0);
	account_mark_free(all);
	account_destroy(x.a);
}

/* Totals between two snapshots of a sensor whose readings lag behind by some of its period. */
static void test_total_of_lagging_sensor(void **state)
{
	struct fixture x;
	struct account_mark *later, *all;
	struct span span;

	(void) state;
	set_up(&x);
	x.m.readings[0].t_ns = x.m.t_ns - 30 * MS;
	x.m.readings[0].since_ns = x.m.t_ns - 30 * MS;
	x.m.readings[0].power_mw = 100000;
	enter(&x, SNAPSHOT_FIRST);
	all = mark(&x, ACCOUNT_NO_SLOT);
	machine_pass(&x.m, NS_PER_S, 0);
	/* 100 W up to now, but the last value is 80 ms old; then 50 W. */
	machine_draw(&x.m, 0, 95 * J);
	x.m.readings[0].t_ns = x.m.t_ns - 80 * MS;
	x.m.readings[0].power_mw = 50000;
	enter(&x, SNAPSHOT_EDGE);
	account_total_since(x.a, all, KIND_CPU, &span);
	/* 95 J less 30 ms of 100 W, and 80 ms of 50 W more. */
	assert_int_equal(span.energy.uj, 95 * J - 3 * J + 4 * J);
	assert_int_equal(span.interval_ns, NS_PER_S);
	assert_int_equal(span.power_uw, 96 * J);
	/* Without power the mean between the readings stands for the rest: they are 2.03 s apart. */
	x.m.readings[0].power_mw = 0;
	machine_pass(&x.m, NS_PER_S, 0);
	machine_draw(&x.m, 0, 50 * J);
	enter(&x, SNAPSHOT_EDGE);
	account_total_since(x.a, all, KIND_CPU, &span);
	assert_int_equal(span.energy.uj, 145 * J * 200 / 203);
	assert_true(span.known && span.energy.low_uj < 143 * J && span.energy.high_uj > 145 * J);
	assert_int_equal(span.interval_ns, 2 * NS_PER_S);
	/* Too little of the time is covered: nothing is known. */
	later = account_mark_new(x.a, ACCOUNT_NO_SLOT);
	machine_pass(&x.m, 100 * MS, 0);
	x.m.readings[0].t_ns = x.m.t_ns - 60 * MS;
	enter(&x, SNAPSHOT_EDGE);
	account_total_since(x.a, later, KIND_CPU, &span);
	assert_false(span.known);
	account_mark_free(later);
	account_mark_free(all);
	account_destroy(x.a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_interval),
		cmocka_unit_test(test_settling),
		cmocka_unit_test(test_proportional),
		cmocka_unit_test(test_gpu),
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_targets_come_and_go),
		cmocka_unit_test(test_tail),
		cmocka_unit_test(test_stale_clock),
		cmocka_unit_test(test_gap),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_not_updated),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_pause_then_failure),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_early),
		cmocka_unit_test(test_early_without_energy),
		cmocka_unit_test(test_total_of_lagging_sensor),
	};

	return cmocka_run_group_tests_name("account", tests, NULL, NULL);
}
