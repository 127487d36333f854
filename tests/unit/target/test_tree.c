// SPDX-License-Identifier: MIT
/*
 * A process and all that it starts, as a target, where perf events are refused: /proc is walked.
 * Real processes burn CPU time, step by step; what children used is told in units of 10 ms, twice.
 */
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "machine/clock.h"
#include "target/target.h"
#include "files.h"
#include "wait.h"

#define MS NS_PER_MS
#define BURN_NS (100 * MS)
#define PAST_NS (300 * MS)

/* Steps of 10 ms of each of some processes, and what starting and ending cost under a sanitizer. */
#define SLACK_NS (80 * MS)

long __wrap_syscall(long number, ...);
long __real_syscall(long number, ...);

long __wrap_syscall(long number, ...)
{
	long a[6];
	va_list args;

	va_start(args, number);
	for (size_t i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_perf_event_open) {
		errno = EACCES;
		return -1;
	}
	return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* Memory that the test and all processes share. */
struct stage {
	_Atomic int step;    /* set by the test */
	_Atomic int reached; /* set by a process */
};

static struct stage *stage;

static int set_up(void **state)
{
	(void) state;
	stage = mmap(
		NULL, sizeof(*stage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return stage == MAP_FAILED ? -1 : 0;
}

static int tear_down(void **state)
{
	(void) state;
	munmap(stage, sizeof(*stage));
	return 0;
}

static void come_to(int step)
{
	stage->reached = step;
	while (stage->step < step)
		wait_a_little();
}

static bool has_reached(void *ctx)
{
	return stage->reached >= *(int *) ctx;
}

static void let_on(int step)
{
	int next = step + 1;

	stage->step = step;
	assert_true(wait_until(has_reached, &next));
}

static uint64_t read_ns(struct target *t)
{
	uint64_t before_ns = t->last_cpu_ns;
	struct usage usage;

	t->ops->read(t, wait_now_ns(), &usage);
	assert_true(usage.cpu_ns >= before_ns);
	return usage.cpu_ns;
}

#define assert_about(ns, expected_ns) \
	assert_in_range(ns, (expected_ns) - (expected_ns) / 2, (expected_ns) + SLACK_NS)

static struct target open_tree(pid_t pid)
{
	struct target t;
	bool exact = true;

	assert_int_equal(target_open_tree(&t, pid, &exact), 0);
	assert_false(exact);
	assert_string_equal(t.ops->name, "tree");
	return t;
}

/* Makes a process that does something and ends, and waits for it. */
static void in_child(void (*work)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		work();
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

/* ---- what it had used before ------------------------------------------------------------- */

static void burn(void)
{
	burn_cpu(BURN_NS);
}

static void with_past(void *ctx)
{
	(void) ctx;
	burn_cpu(PAST_NS);
	come_to(1);
	burn_cpu(BURN_NS);
	come_to(2);
	in_child(burn);
	come_to(3);
}

static void test_past_is_not_counted(void **state)
{
	size_t fds = dir_count("/proc/self/fd");
	pid_t pid = child_start(with_past, NULL);
	struct target t;

	(void) state;
	let_on(0);
	t = open_tree(pid);
	assert_in_range(read_ns(&t), 0, SLACK_NS);
	let_on(1);
	assert_about(read_ns(&t), BURN_NS);
	/* A child that nobody saw, for it lived between two looks. */
	let_on(2);
	assert_about(read_ns(&t), 2 * BURN_NS);
	stage->step = 3;
	child_reap(pid);
	assert_about(read_ns(&t), 2 * BURN_NS);
	assert_true(t.ended);
	target_close(&t);
	assert_int_equal(dir_count("/proc/self/fd"), fds);
}

/* ---- generations ------------------------------------------------------------------------- */

static void youngest(void)
{
	burn_cpu(PAST_NS);
	come_to(1);
	burn_cpu(BURN_NS);
	come_to(2);
}

static void middle(void)
{
	in_child(youngest);
}

static void oldest(void *ctx)
{
	(void) ctx;
	in_child(middle);
	come_to(3);
}

/* A branch that ends between two looks, whose past is the youngest's. */
static void test_branch_with_past(void **state)
{
	pid_t pid = child_start(oldest, NULL);
	struct target t;

	(void) state;
	let_on(0);
	t = open_tree(pid);
	assert_in_range(read_ns(&t), 0, SLACK_NS);
	let_on(1);
	assert_about(read_ns(&t), BURN_NS);
	let_on(2);
	assert_about(read_ns(&t), BURN_NS);
	stage->step = 3;
	child_reap(pid);
	target_close(&t);
}

static void branch_at_once(void)
{
	burn_cpu(PAST_NS);
	come_to(1);
	burn_cpu(BURN_NS);
}

static void middle_at_once(void)
{
	in_child(branch_at_once);
}

static void oldest_at_once(void *ctx)
{
	(void) ctx;
	in_child(middle_at_once);
	come_to(2);
	burn_cpu(BURN_NS);
	come_to(3);
}

/* Both are gone at the next look; what comes after is not hidden by it. */
static void test_branch_ends_at_once(void **state)
{
	pid_t pid = child_start(oldest_at_once, NULL);
	struct target t;

	(void) state;
	let_on(0);
	t = open_tree(pid);
	let_on(1);
	assert_about(read_ns(&t), BURN_NS);
	let_on(2);
	assert_about(read_ns(&t), 2 * BURN_NS);
	stage->step = 3;
	child_reap(pid);
	target_close(&t);
}

static void lone_end(void)
{
	come_to(1);
	burn_cpu(BURN_NS);
	come_to(2);
}

static void ignoring(void *ctx)
{
	(void) ctx;
	signal(SIGCHLD, SIG_IGN);
	in_child(lone_end); /* returns when there is no child any more */
	come_to(3);
	burn_cpu(BURN_NS);
	come_to(4);
}

/* Nobody waits for it: what was seen of it may be lost, but nothing else is, and nothing falls. */
static void test_nobody_waits(void **state)
{
	pid_t pid = child_start(ignoring, NULL);
	struct target t;
	uint64_t ns;

	(void) state;
	let_on(0);
	t = open_tree(pid);
	let_on(1);
	ns = read_ns(&t);
	assert_about(ns, BURN_NS);
	let_on(2);
	assert_true(read_ns(&t) >= ns);
	let_on(3);
	assert_true(read_ns(&t) >= ns);
	stage->step = 4;
	child_reap(pid);
	target_close(&t);
}

static void test_open(void **state)
{
	struct target t;
	bool exact;
	pid_t pid;

	(void) state;
	assert_int_equal(target_open_tree(&t, 0x7ffffff0, &exact), -ESRCH);
	pid = child_start(child_sleep, NULL);
	child_kill(pid);
	assert_int_equal(target_open_tree(&t, pid, &exact), -ESRCH);
	child_reap(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_open, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_past_is_not_counted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_branch_with_past, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_branch_ends_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nobody_waits, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
